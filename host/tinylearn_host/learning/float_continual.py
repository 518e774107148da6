"""Continual learning in float32 by PyTorch: what continual.py's strategies come to where nothing is rounded.

Many sequences run side by side, each with weights of its own. The loop is float_training.py's; beside it the rows of
earlier tasks, the samples of a replay memory, and the pull towards feature maps of firmware/tinylearn/continual.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylearn_host import ir, tlm
from tinylearn_host.learning import continual, float_heads
from tinylearn_host.learning.float_net import FloatNet
from tinylearn_host.learning.float_training import FloatTraining, Lesson
from tinylearn_host.learning.tasks import Episode


@dataclass
class Old:
    """What is left of earlier tasks. rows: their heads', [E, features] each, and the class of each.

    held: {map: bits of the channels of each sequence}; kept: of a replay memory, (sample, row) of each sequence
    """

    rows: list[Tensor]
    owners: list[int]
    held: dict[int, list[bytearray]]
    kept: list[list[tuple[np.ndarray, int]]]


class Task(FloatTraining):
    """One task of all sequences. lessons: with the samples of the memory behind the `fresh` new ones; classes: rows."""

    def __init__(self, net, choice, lessons, views, parameters, rate, fresh: int, old: Old, before: Task | None):
        super().__init__(net, choice, lessons, views, parameters, rate)
        self.fresh, self.old, self.hold, self.first_row = fresh, old, None, 0
        self.share = self.share[:fresh, :, len(old.rows) :]
        for values in self.boundary.values():  # nobody varies what a memory keeps
            values[1:, fresh:] = values[:1, fresh:]
        if before:
            with torch.no_grad():
                for (value, _), (last, _) in zip(self.masks, before.masks, strict=True):
                    value.copy_(last)

    def means(self) -> Tensor:
        """[E, new rows, features]"""
        return torch.einsum("nek,nef->ekf", self.share, self.features()[: self.fresh])

    def rows(self) -> Tensor:
        return F.normalize(torch.cat([*(row[:, None] for row in self.old.rows), self.means()], 1), dim=-1)

    def step(self) -> Tensor:
        """As FloatTraining.step, over the rows from first_row on, with the pull of the samples that are held."""
        rows = float_heads.TAU * self.rows()[:, self.first_row :]
        orders = torch.tensor([order.next() for order in self.orders]).T.to(self.device)
        losses = torch.zeros(self.episodes, device=self.device)
        parameters = [value for value, _ in self.masks]
        for sample in orders:
            view = 1 + (self.steps + sample) % self.views if self.views else torch.zeros_like(sample)
            if self.hold:
                view = torch.where(sample < self.hold.samples, min(1, self.views), view)
            values = self.run_tail(view, sample)
            features = F.normalize(_flat(values[self.net.model.features])[0], dim=-1)
            logits = torch.einsum("ef,ekf->ek", features, rows)
            target = self.classes[sample, self.each] - self.first_row
            loss = F.cross_entropy(logits, target, reduction="none")
            pull = self.hold.loss(values, sample) if self.hold else 0
            gradients = torch.autograd.grad((loss + pull).sum(), parameters)
            with torch.no_grad():
                losses += loss
                self.descend(gradients)
        self.steps += 1
        return losses / self.count

    def run_tail(self, view: Tensor, sample: Tensor) -> dict[int, Tensor]:
        """All tensors of one sample of each sequence, [1, E, C, H, W]."""
        values = {i: b[view, sample, self.each][None] for i, b in self.boundary.items()}
        return self.net._run(values, self.cut, self.net.last, self.trained)

    def regulated(self) -> list[int]:
        """Outputs of trained convolutions."""
        ops = self.net.model.ops
        return [ops[i].y for i in sorted(self.trained) if ops[i].name in (ir.CONV2D, ir.DEPTHWISE_CONV2D)]


def _flat(y: Tensor) -> Tensor:
    return y.permute(0, 1, 3, 4, 2).flatten(2)


class Hold:
    """firmware/tinylearn/continual.py: Hold. Channels of sequences that have none held there weigh 0."""

    def __init__(self, task: Task, samples: int, strength: float):
        self.samples = min(samples, task.fresh)
        on = {y: _mask(bits, task) for y, bits in task.old.held.items()}
        view, seen = torch.full_like(task.each, min(1, task.views)), []
        with torch.no_grad():
            for i in range(self.samples):
                values = task.run_tail(view, torch.full_like(task.each, i))
                seen.append({y: values[y][0] for y in (*on, task.net.model.features)})
        self.maps = {y: torch.stack([values[y] for values in seen]) for y in seen[0]}  # [N, E, C, H, W]
        self.weight = {}
        for y, maps in self.maps.items():
            mask = on.get(y, torch.ones_like(maps[0, :, :, :1, :1]))
            elements = (mask.sum((1, 2, 3)) * maps.shape[3] * maps.shape[4]).clamp(min=1)  # [E]
            size = (maps.abs() * mask).sum((0, 2, 3, 4)) / (self.samples * elements)
            size = size.clamp(min=float(task.net.model.tensors[y].scale))
            self.weight[y] = strength * mask / (elements * size**2)[:, None, None, None]

    def loss(self, values: dict[int, Tensor], sample: Tensor) -> Tensor:
        each, held = torch.arange(len(sample), device=sample.device), sample < self.samples
        rows = sample.clamp(max=self.samples - 1)
        apart = [
            (self.weight[y] * (values[y][0] - maps[rows, each]) ** 2).sum((1, 2, 3)) for y, maps in self.maps.items()
        ]
        return held * torch.stack(apart).sum(0)


def _mask(bits: list[bytearray], task: Task) -> Tensor:
    """[E, C, 1, 1] of one map."""
    whole = np.stack([np.unpackbits(np.frombuffer(b, np.uint8), bitorder="little") for b in bits])
    return torch.from_numpy(whole.astype(np.float32)).to(task.device)[:, :, None, None]


def hold_more(task: Task, share: float, most: float) -> None:
    """What is held after the task, too, by the board's own choice of channels."""
    add, regulated = continual.board("continual")._add, task.regulated()
    activity = dict.fromkeys(regulated, 0)
    with torch.no_grad():
        for i in range(task.fresh):
            values = task.run_tail(torch.zeros_like(task.each), torch.full_like(task.each, i))
            activity = {y: activity[y] + values[y][0].abs().sum((2, 3)) for y in regulated}
    for y, sums in activity.items():
        channels = sums.shape[1]
        held = task.old.held.setdefault(y, [bytearray(-(-channels // 8)) for _ in range(task.episodes)])
        for bits, each in zip(held, sums.tolist(), strict=True):
            add(bits, each, int(share * channels + 0.5) or 1, int(most * channels + 0.5) or 1)


# ---- Sequences side by side ------------------------------------------------------------------------------------------


class Floats:
    """One job on sequences side by side."""

    def __init__(self, job: continual.Job, sequences: continual.Sequences, model: tlm.Model, device: str = "cpu"):
        self.job, self.sequences, self.model, self.net = job, sequences, model, FloatNet(model, device)

    def known(self, numbers: list[int]) -> list[list[list[float]]]:
        """As continual.Integers.known, of each of these sequences."""
        drawn = [self.sequences.draw(self.job.seed, number) for number in numbers]
        old, tasks = Old([], [], {}, [[] for _ in numbers]), len(drawn[0])
        found: list[list[list[float]]] = [[] for _ in numbers]
        before = None
        if self.job.strategy == "joint":
            before = self._learn_jointly(drawn, numbers)
        for t in range(tasks):
            episodes = [sequence[t] for sequence in drawn]
            if self.job.strategy == "joint":
                task = self._task(episodes, numbers, t, old, before)
            else:
                task = before = self._learn(episodes, numbers, t, old, before)
            self._remember(task, episodes, old, t)
            if self.job.strategy != "joint" or t == tasks - 1:
                after = [self._accuracies(task, [sequence[past] for sequence in drawn], old) for past in range(t + 1)]
                for e, known in enumerate(found):
                    known.append([percents[e] for percents in after])
        return found

    def _fit(self, count: int, ways: int):
        """(settings, choice, views) as the board has them."""
        if self.job.strategy == "prototype":
            return None, {}, 0
        tuning = continual.board("tuning")
        board = continual.board("model").Model(np.frombuffer(self.model.raw, np.uint8).copy())
        board.in_place = True
        options = {"method": continual.METHOD, **self.job.options}
        settings = tuning.Settings(board, options)
        fit = tuning.find(board, options["method"], count, ways, settings)
        return settings, fit.tail.choice, fit.views

    def _task(self, episodes: list[Episode], numbers: list[int], t: int, old: Old, before: Task | None) -> Task:
        """Ready to be trained on."""
        pool, lessons, first = self.sequences.task.pool, [], len(old.rows)
        fresh = len(episodes[0].support)
        for e, (episode, number) in enumerate(zip(episodes, numbers, strict=True)):
            kept = old.kept[e]
            x = np.concatenate([pool.x[episode.support], *(sample[None] for sample, _ in kept)])
            rows = first + np.unique(episode.support_class, return_inverse=True)[1]
            rows = np.concatenate([rows, np.array([row for _, row in kept], int)]).astype(int)
            lessons.append(Lesson(x, rows, x[:0], continual.seed_of(self.job.seed, number, t)))
        settings, choice, views = self._fit(fresh, first + 10)
        parameters, rate = (settings.augment, settings.rate) if settings else (None, 0.0)
        return Task(self.net, choice, lessons, views, parameters, rate, fresh, old, before)

    def _learn(self, episodes, numbers, t: int, old: Old, before: Task | None) -> Task:
        task, strategy = self._task(episodes, numbers, t, old, before), self.job.strategy
        if strategy == "prototype":
            return task
        if strategy in ("alone", "lightcl"):
            task.first_row = len(old.rows)
        samples, share, most, strength = continual.board("holding").options(self.job.hold)
        if strategy == "lightcl" and old.rows:
            task.hold = Hold(task, samples, strength)
        task.run(self.job.options.get("steps", 10), continual.board("tuning").PATIENCE)
        if strategy == "lightcl":
            hold_more(task, share, most)
        return task

    def _learn_jointly(self, drawn, numbers) -> Task:
        whole = [_together(sequence) for sequence in drawn]
        task = self._task(whole, numbers, 0, Old([], [], {}, [[] for _ in numbers]), None)
        task.run(self.job.options.get("steps", 10), continual.board("tuning").PATIENCE)
        return task

    def _remember(self, task: Task, episodes: list[Episode], old: Old, t: int) -> None:
        """The task's rows, and samples of it where there is a memory."""
        means = task.means()
        first = len(old.rows)
        old.rows += [means[:, k] for k in range(means.shape[1])]
        old.owners += [int(k) for k in np.unique(episodes[0].support_class)]
        if self.job.strategy == "replay":
            self._keep(task, episodes, old, t, first)

    def _keep(self, task: Task, episodes: list[Episode], old: Old, t: int, first: int) -> None:
        board = continual.board("model").Model(np.frombuffer(self.model.raw, np.uint8).copy())
        record = sum((self.model.tensors[i].bytes + 3) & ~3 for i in self.net.boundary(task.cut))
        room = continual.held_bytes(board, self.job, t + 1, task.fresh) // (record + 1)
        for e, episode in enumerate(episodes):
            rows = first + np.unique(episode.support_class, return_inverse=True)[1]
            new = [(self.sequences.task.pool.x[i], int(row)) for i, row in zip(episode.support, rows, strict=True)]
            old.kept[e] = continual.share_out([*old.kept[e], *new], room)

    def _accuracies(self, task: Task, episodes: list[Episode], old: Old) -> list[float]:
        """Percent of the queries of each sequence that are nearest to a row of their class."""
        pool, owners = self.sequences.task.pool, np.array(old.owners)
        asked = task._asked([Lesson(pool.x[:0], np.zeros(0), pool.x[e.query], 0) for e in episodes])
        rows = F.normalize(torch.stack(old.rows, 1), dim=-1).cpu().numpy()
        return [
            100 * float((owners[(float_heads.unit(x) @ rows[e].T).argmax(1)] == episode.query_class).mean())
            for e, (x, episode) in enumerate(zip(asked, episodes, strict=True))
        ]


def _together(sequence: list[Episode]) -> Episode:
    parts = [
        np.concatenate([getattr(e, name) for e in sequence]) for name in Episode.__dataclass_fields__ if name != "unit"
    ]
    return Episode(*parts, sequence[0].unit)
