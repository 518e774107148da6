"""What the board's training does, in float32 by PyTorch: the yardstick for its integers.

The loop is that of firmware/tinylearn/training.py and tuning.py, step for step: the same choice of what is trained, the
same views (made by the board's own tl_train.augment), in the same order, plain SGD at once after each sample, the best
weights kept, the same choice of a head. Only the numbers are real. Many episodes run side by side.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylearn_host import ir, simulator
from tinylearn_host.learning import float_heads
from tinylearn_host.learning.float_net import FloatNet, Weights
from tinylearn_host.learning.float_updates import Update

CHUNK = 64  # queries of each episode that run at a time


@dataclass
class Lesson:
    """One episode, with the board's seed: int8 [n, inputs] to learn from, their classes, int8 to be asked about."""

    support: np.ndarray
    classes: np.ndarray
    query: np.ndarray
    seed: int


def views_of(x: np.ndarray, views: int, parameters: array | None, seed: int) -> np.ndarray:
    """int8 [1 + views, n, inputs]: the samples x and the board's views of them (Support._make)."""
    if parameters is None:
        return np.repeat(x[None], 1 + views, 0)
    return _views(x.tobytes(), len(x), views, tuple(parameters), seed)


@lru_cache(1024)  # every method of a benchmark sees the same ones
def _views(samples: bytes, count: int, views: int, parameters: tuple[int, ...], seed: int) -> np.ndarray:
    simulator.on_path()
    augment, parameters = import_module("tl_train").augment, array("i", parameters)
    x = np.frombuffer(samples, np.int8).reshape(count, -1)
    seen = np.repeat(x[None], 1 + views, 0)
    state = np.zeros(1, np.int32)
    for view in range(1, 1 + views):
        for i, sample in enumerate(x):
            state[0] = ((seed * 31 + i) * 31 + view) * 40503 & 0x3FFFFFFF | 1
            status = augment(parameters, sample, seen[view, i], state)
            assert status == 0, simulator.explain(status)
    return seen


class Order:
    """The board's random order of the samples (Training._shuffle)."""

    def __init__(self, count: int, seed: int):
        self.order, self.chance = list(range(count)), seed % 65536

    def next(self) -> list[int]:
        order = self.order
        for i in range(len(order) - 1, 0, -1):
            self.chance = (self.chance * 75 + 74) % 65537
            j = self.chance % (i + 1)
            order[i], order[j] = order[j], order[i]
        return list(order)


def _channels(part, channels: int, whole: bool) -> list[int]:
    """Those that a Trained names."""
    if whole or not (part.list or part.count):
        return list(range(channels))
    return list(part.list) if part.list else list(range(part.first, part.first + part.count))


class FloatTraining:
    """Lessons of one shape (number of samples and classes), side by side.

    choices: {operator: Trained} of firmware/tinylearn/tail.py, one for each lesson or one for all; parameters: of
    tl_train.augment, or None; cut: where the trained tail begins, None: as early as the choices say; update: of
    arithmetic.UPDATES.
    """

    def __init__(
        self,
        net: FloatNet,
        choices: dict | list[dict],
        lessons: list[Lesson],
        views: int,
        parameters: object,
        rate: float,
        cut: int | None = None,
        update: str = "sgd",
    ):
        self.net, self.rate, self.views, self.device = net, rate, views, net.device
        choices = choices if isinstance(choices, list) else [choices]
        chosen = sorted(set().union(*choices))
        self.cut = cut if cut is not None else min(chosen, default=net.last)
        self.count, self.episodes = len(lessons[0].classes), len(lessons)
        self.each = torch.arange(self.episodes, device=self.device)
        classes = np.stack([lesson.classes for lesson in lessons], 1)
        self.classes = torch.from_numpy(classes).long().to(self.device)  # [n, E]
        ways = int(self.classes.max()) + 1
        member = F.one_hot(self.classes, ways).float()  # [n, E, k]
        self.share = member / member.sum(0)
        seen = np.stack([views_of(lesson.support, views, parameters, lesson.seed) for lesson in lessons], 2)
        boundaries = [net.prefix(net.input(x), self.cut) for x in seen]
        self.boundary = {i: torch.stack([b[i] for b in boundaries]) for i in boundaries[0]}  # [1 + V, n, E, ...]
        self.orders = [Order(self.count, lesson.seed) for lesson in lessons]
        self.trained, self.masks = {}, []
        self.of: list[tuple[int, bool]] = []
        for index in chosen:
            self._own(index, [choice.get(index) for choice in choices])
        self.update = Update(update, net.model, self.of, self.device) if self.of else None
        self.steps = 0

    def _own(self, index: int, parts: list) -> None:
        """Weights for each lesson. parts: what is trained, for each of them or for all; None: nothing."""
        frozen, own = self.net.frozen[index], []
        for flag, value in ((1, frozen.w), (2, frozen.b)):
            if any(part and part.flags & flag for part in parts):
                value = value.expand(self.episodes, *value.shape[1:]).clone().requires_grad_()
                masks = [self._mask(index, part, value[0], flag) for part in parts]
                whole = all(bool(mask.all()) for mask in masks)
                self.of.append((index, flag == 1))
                self.masks.append(
                    (value, None if whole else torch.stack(torch.broadcast_tensors(*masks)).to(self.device))
                )
            own.append(value)
        self.trained[index] = Weights(*own)

    def _mask(self, index: int, part, value: Tensor, flag: int) -> Tensor:
        """1 where a channel is trained, else 0. value [O, I, kh, kw] or [O]; the mask has its dimensions."""
        axis = 0 if part and (part.axis or self.net.model.ops[index].name == ir.DEPTHWISE_CONV2D) else 1
        whole = axis == 1 and value.dim() == 1  # biases belong to outputs
        channels = 1 if whole else value.shape[axis]
        mask = torch.zeros(channels)
        if part and part.flags & flag:
            mask[_channels(part, channels, whole)] = 1
        return mask.view([-1 if d == axis or value.dim() == 1 else 1 for d in range(value.dim())])

    def features(self) -> Tensor:
        """[n, E, features] of the clean samples, by the weights as they are."""
        with torch.no_grad():
            return self.net.features({i: b[0] for i, b in self.boundary.items()}, self.cut, self.trained)

    def rows(self) -> Tensor:
        """[E, k, features]: a cosine head's."""
        return F.normalize(torch.einsum("nek,nef->ekf", self.share, self.features()), dim=-1)

    def _orders(self) -> Tensor:
        """[n, E]: the samples of each lesson, in the order of a step."""
        return torch.tensor([order.next() for order in self.orders]).T.to(self.device)

    def _view(self, sample: Tensor) -> dict[int, Tensor]:
        """The boundary [1, E, ...] of one sample of each lesson, as it is seen in this step."""
        view = 1 + (self.steps + sample) % self.views if self.views else torch.zeros_like(sample)
        return {i: b[view, sample, self.each][None] for i, b in self.boundary.items()}

    def _loss(self, values: dict[int, Tensor], sample: Tensor, rows: Tensor) -> Tensor:
        """[E], of what the network makes of a view (FloatNet.forward)."""
        features = F.normalize(self.net.features_of(values)[0], dim=-1)
        logits = torch.einsum("ef,ekf->ek", features, rows)
        return F.cross_entropy(logits, self.classes[sample, self.each], reduction="none")

    def fisher(self, layers: dict[int, int]) -> dict[int, np.ndarray]:
        """What the channels of layers are worth: {operator: [E, channels]}. layers: {operator: 0 input, 1 output}

        TinyTrain's equation 2 without its 1 / (2 N): sum over samples of (sum over pixels of a * dL/da)^2.
        """
        rows = float_heads.TAU * self.rows()
        tensors = {i: op.y if axis else op.x for i, axis in layers.items() for op in [self.net.model.ops[i]]}
        sums: dict[int, Tensor] = {}
        for sample in self._orders():
            seen = {i: value.requires_grad_() for i, value in self._view(sample).items()}
            values = self.net.forward(seen, self.cut, self.trained)
            activations = [values[t] for t in tensors.values()]
            gradients = torch.autograd.grad(self._loss(values, sample, rows).sum(), activations)
            for i, a, gradient in zip(tensors, activations, gradients, strict=True):
                product = (a * gradient).detach()[0].sum((2, 3)) ** 2
                sums[i] = sums.get(i, 0) + product
        return {i: total.cpu().numpy().astype(np.float64) for i, total in sums.items()}

    def step(self) -> Tensor:
        """Mean loss [E] of one step over all samples, each of which moves the weights."""
        rows = float_heads.TAU * self.rows()
        losses = torch.zeros(self.episodes, device=self.device)
        parameters = [value for value, _ in self.masks]
        for sample in self._orders():
            values = self.net.forward(self._view(sample), self.cut, self.trained)
            loss = self._loss(values, sample, rows)
            gradients = torch.autograd.grad(loss.sum(), parameters)
            with torch.no_grad():
                losses += loss
                self.descend(gradients)
        self.steps += 1
        return losses / self.count

    def descend(self, gradients: tuple[Tensor, ...]) -> None:
        """A step of each trained tensor, where its mask has it trained."""
        for i, ((value, mask), gradient) in enumerate(zip(self.masks, gradients, strict=True)):
            step = self.update(i, gradient)
            value -= self.rate * (step if mask is None else step * mask)

    def run(self, steps: int, patience: int) -> None:
        """Until each episode's loss has not fallen for `patience` steps; the weights at its lowest stay."""
        best = torch.full((self.episodes,), torch.inf, device=self.device)
        since = torch.zeros(self.episodes, device=self.device)
        kept = [value.detach().clone() for value, _ in self.masks]
        for _ in range(steps):
            loss, going = self.step(), since < patience
            better = going & (loss < best)
            best = torch.where(better, loss, best)
            since = torch.where(better, 0, since + going)
            for (value, _), copy in zip(self.masks, kept, strict=True):
                copy[better] = value.detach()[better]
            if not (since < patience).any():
                break
        with torch.no_grad():
            for (value, _), copy in zip(self.masks, kept, strict=True):
                value.copy_(copy)

    def run_watched(self, steps: int) -> np.ndarray:
        """As training._watched: without the last view of each sample, which watches. [E]: whether it gains."""
        self.views -= 1
        first = self._watching()
        for _ in range(steps):
            self.step()
        return (self._watching() < first).cpu().numpy()

    def _watching(self) -> Tensor:
        """Loss [E] of the last view of each sample, added up."""
        rows, losses = float_heads.TAU * self.rows(), torch.zeros(self.episodes, device=self.device)
        with torch.no_grad():
            for i in range(self.count):
                seen = {at: b[-1, i][None] for at, b in self.boundary.items()}
                values = self.net.forward(seen, self.cut, self.trained)
                losses += self._loss(values, torch.full((self.episodes,), i, device=self.device), rows)
        return losses

    def features_of(self, x: np.ndarray) -> np.ndarray:
        """float64 [n, features] of int8 samples [n, inputs], by the network as it is."""
        boundary = self.net.prefix(self.net.input(x[:, None]), self.cut)
        with torch.no_grad():
            found = self.net.features(boundary, self.cut, {})
        return found[:, 0].cpu().numpy().astype(np.float64)

    def known(self) -> np.ndarray:
        """features() as float64."""
        return self.features().cpu().numpy().astype(np.float64)

    def answers(self, lessons: list[Lesson], heads: list[str]) -> list[np.ndarray]:
        """The class that each query gets; heads: a name of float_heads.HEADS for each lesson."""
        known, asked = self.known(), self._asked(lessons)
        found = []
        for e, (lesson, head) in enumerate(zip(lessons, heads, strict=True)):
            taught = float_heads.HEADS[head](known[:, e], lesson.classes)
            found.append(float_heads.answers(taught, asked[e]))
        return found

    def _asked(self, lessons: list[Lesson]) -> list[np.ndarray]:
        """Features of the queries, float64 [queries, features] of each episode."""
        most = max(len(lesson.query) for lesson in lessons)
        padded = np.stack([np.resize(lesson.query, (most, lesson.query.shape[1])) for lesson in lessons], 1)
        parts = []
        with torch.no_grad():
            for at in range(0, most, CHUNK):
                boundary = self.net.prefix(self.net.input(padded[at : at + CHUNK]), self.cut)
                parts.append(self.net.features(boundary, self.cut, self.trained).cpu().numpy())
        features = np.concatenate(parts).astype(np.float64)
        return [features[: len(lesson.query), e] for e, lesson in enumerate(lessons)]
