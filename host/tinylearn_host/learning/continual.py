"""What strategies of continual learning still know after each task of a sequence, in the board's integers.

prototype   the network stays as it is; prototypes alone are added
naive       fine-tuned on each task as it comes; all classes compete
alone       fine-tuned on each task by itself: its loss compares the task's own classes, nothing else is held
replay      and some old samples with it (firmware/tinylearn/replay.py), in as many bytes as lightcl has
lightcl     firmware/tinylearn/continual.py
joint       on all tasks at once: what could be known

All but joint learn from one task's samples at a time. All end with one prototype per class and task.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from tinylearn_host import simulator, tlm
from tinylearn_host.errors import NOT_ENOUGH_RAM, USAGE, TinylearnError
from tinylearn_host.learning import arithmetic, bench
from tinylearn_host.learning.arithmetic import WIDTHS, pairs
from tinylearn_host.learning.sequences import Sequences, open_sequences
from tinylearn_host.learning.tasks import Episode

STRATEGIES = ("prototype", "naive", "alone", "replay", "lightcl", "joint")
METHOD = "full"
AT_ONCE = 16  # sequences in float32, side by side


@dataclass(frozen=True)
class Job:
    """A row. options: of model.adapt; hold: those of lightcl."""

    strategy: str
    arithmetic: str
    seed: int
    options: dict = field(default_factory=dict)
    hold: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a worker process needs: plain data."""

    sequence: str
    model: Path
    file: Path | None
    shot: int | None
    groups: tuple[str, ...]

    def open(self) -> tuple[Sequences, tlm.Model]:
        model = bench.read(self.model)
        return open_sequences(self.sequence, model, self.file, self.shot, list(self.groups)), model


# ---- In integers -----------------------------------------------------------------------------------------------------


def board(name: str):
    """A module of the package on the board."""
    simulator.on_path()
    return import_module(f"tinylearn.{name}")


class Integers:
    """One job on sequences, by the package on the board."""

    def __init__(self, job: Job, sequences: Sequences, model: tlm.Model):
        self.job, self.sequences = job, sequences
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.tlm"
        self.path.write_bytes(model.raw)

    def known(self, number: int) -> list[list[float]]:
        """accuracy[t][j]: percent of task j's queries right after task t, j <= t; of joint after the last alone."""
        episodes = self.sequences.draw(self.job.seed, number)
        model = board("model").load(str(self.path), recall=False)
        if self.job.strategy == "joint":
            self._learn_jointly(model, episodes, number)
            return [[self._accuracy(model, episode) for episode in episodes]]
        found = []
        for t, episode in enumerate(episodes):
            self._learn(model, episode, number, t)
            found.append([self._accuracy(model, past) for past in episodes[: t + 1]])
        return found

    def _learn(self, model, episode: Episode, number: int, t: int) -> None:
        samples, seed, strategy = self._samples(episode), seed_of(self.job.seed, number, t), self.job.strategy
        if strategy == "prototype":
            model.adapt(samples, method="prototype", more="add", keep=False)
        elif strategy == "replay":
            hold = {"bytes": held_bytes(model, self.job, t + 1, len(samples))}
            model.adapt(samples, **self.options(seed), continual="replay", hold=hold)
        elif strategy == "naive":
            model.adapt(samples, **self.options(seed))
        else:
            hold = {"strength": 1e-6, "samples": 1} if strategy == "alone" else self.job.hold
            model.adapt(samples, **self.options(seed), continual="lightcl", hold=hold)

    def _learn_jointly(self, model, episodes: list[Episode], number: int) -> None:
        """The network from everything at once, the head task by task."""
        samples = [pair for episode in episodes for pair in self._samples(episode)]
        model.adapt(samples, **self.options(seed_of(self.job.seed, number, 0)))
        model.head = None
        for episode in episodes:
            model.adapt(self._samples(episode), method="prototype", more="add", keep=False)

    def options(self, seed: int) -> dict:
        width = WIDTHS[self.job.arithmetic]
        fixed = {"head": "prototype", "more": "add", "keep": False, "seed": seed, "width": width}
        return {"method": METHOD, **self.job.options, **fixed}

    def _samples(self, episode: Episode) -> list:
        return pairs(self.sequences.task.pool.x[episode.support], episode.support_class)

    def _accuracy(self, model, episode: Episode) -> float:
        x = self.sequences.task.pool.x[episode.query]
        return 100 * float(np.mean([model.predict(q)[0] == k for q, k in zip(x, episode.query_class, strict=True)]))


def seed_of(seed: int, number: int, t: int) -> int:
    """The board's seed for one task: many bits."""
    return int(np.random.default_rng([seed, number, t, 1]).integers(1, 1 << 30))


# ---- The same bytes --------------------------------------------------------------------------------------------------


def share_out(samples: list[tuple[np.ndarray, int]], room: int) -> list[tuple[np.ndarray, int]]:
    """So many of them, (sample, row), as the board chooses them."""
    return [samples[i] for i in board("replay").shared_out([row for _, row in samples])[:room]]


def held_bytes(model, job: Job, tasks: int, count: int) -> int:
    """Bytes of lightcl's references at their most after so many tasks: when no two of these held the same channel."""
    holding, tuning = board("holding"), board("tuning")
    samples, share, most, _ = holding.options(job.hold)
    options = {"method": METHOD, **job.options}
    settings = tuning.Settings(model, {**options, "continual": "lightcl"})
    choice = next(tuning.choices(model, options["method"], settings))[0]
    total = len(model.f)
    for index in choice:
        y = model.operator(index, "<H", 16)[0]
        if model.operator(index, "B", 0)[0] <= holding._DEPTHWISE:
            channels = model.shape(y)[3]
            k = min(int(most * channels + 0.5), tasks * (int(share * channels + 0.5) or 1))
            total += model.nbytes(y) // channels * k
    return min(samples, count) * total


# ---- All sequences ---------------------------------------------------------------------------------------------------


def average(known: list[list[float]]) -> float:
    """Percent over all tasks after the last."""
    return float(np.mean(known[-1]))


def forgetting(known: list[list[float]]) -> float:
    """Points that a task was better at its best than in the end, over all tasks but the last."""
    best = [max(after[j] for after in known[j:]) for j in range(len(known) - 1)]
    return float(np.mean([b - known[-1][j] for j, b in enumerate(best)])) if best else 0.0


_opened: tuple[Sequences, tlm.Model] | None = None


def _prepare(setting: Setting) -> None:
    global _opened
    _opened = setting.open()


def _work(job: Job, numbers: list[int]) -> tuple[list[int], list[list[list[float]]]]:
    if job.arithmetic != "float32":
        runner = Integers(job, *_opened)
        return numbers, [runner.known(number) for number in numbers]
    import torch

    from tinylearn_host.learning.float_continual import Floats

    torch.set_num_threads(1)
    return numbers, Floats(job, *_opened).known(numbers)


def _portions(job: Job, count: int) -> list[list[int]]:
    """Sequences that are run together."""
    size = AT_ONCE if job.arithmetic == "float32" else 1
    return [list(range(a, min(a + size, count))) for a in range(0, count, size)]


def run(
    setting: Setting, jobs: list[Job], count: int, processes: int, show: bench.Show, limit: float | None = None
) -> dict:
    """The JSON of a run: each job's average accuracy and forgetting of each sequence, with means and intervals.

    limit: seconds, after which no sequence is begun: rows then have the first ones only, those without any are missing.
    """
    sequences, model = setting.open()
    for job in jobs:
        _refuse_nonsense(job, sequences.spec, model)
    units = [sequences.draw(jobs[0].seed, number)[0].unit for number in range(count)]
    found: list[dict[int, list[list[float]]]] = [{} for _ in jobs]
    order = sorted((some[0], i, some) for i, job in enumerate(jobs) for some in _portions(job, count))
    with ProcessPoolExecutor(processes, initializer=_prepare, initargs=(setting,)) as pool:
        waiting = {pool.submit(_work, jobs[i], some): i for _, i, some in order}
        try:
            for future in as_completed(waiting, limit):
                found[waiting[future]].update(zip(*future.result(), strict=True))
                show("sequences", sum(map(len, found)), count * len(jobs))
        except bench.TimeIsUp:
            for left in waiting:
                left.cancel()
    spec = sequences.spec
    about = {
        "sequence": spec.name, "title": spec.title, "kind": spec.kind, "tasks": spec.tasks, "way": spec.way,
        "shot": spec.shot, "seed": jobs[0].seed, "groups": list(setting.groups),
        "model": {"name": setting.model.name, "sha256": model.sha256.hex()},
        "data": {"name": setting.file.name} if setting.file else None,
    }  # fmt: skip
    rows = [_row(job, _first(known), units) for job, known in zip(jobs, found, strict=True) if 0 in known]
    return {"setting": about, "rows": rows}


def _refuse_nonsense(job: Job, spec, model: tlm.Model) -> None:
    """Raises exit code 2 or 7 where no board would train so; spec: of sequences.SEQUENCES."""
    method, known = job.options.get("method", METHOD), arithmetic.firmware("head").TAILS
    if method not in known:
        raise TinylearnError(f"what of the network is trained is one of {', '.join(known)}, not {method!r}", USAGE)
    if job.strategy == "prototype":
        return
    held = {"continual": "lightcl", "hold": job.hold} if job.strategy == "lightcl" else {}
    asked = arithmetic.Job(method, job.arithmetic, job.seed, {**job.options, **held})
    count = spec.way * spec.shot * (spec.tasks if job.strategy == "joint" else 1)
    try:
        arithmetic.fit(model, asked, count, spec.way)
    except (ValueError, MemoryError) as error:
        code = USAGE if isinstance(error, ValueError) else NOT_ENOUGH_RAM
        raise TinylearnError(f"{job.strategy}: {error}", code) from None


def _first(known: dict[int, list[list[float]]]) -> list[list[list[float]]]:
    """Those without a gap before them."""
    return [known[n] for n in range(len(known)) if all(m in known for m in range(n))]


def _row(job: Job, known: list[list[list[float]]], units: list[str]) -> dict:
    averages, forgot = np.array([average(k) for k in known]), np.array([forgetting(k) for k in known])
    return {
        "strategy": job.strategy,
        "arithmetic": job.arithmetic,
        "options": job.options,
        "hold": job.hold,
        "average": bench.interval(averages, units[: len(known)]),
        "forgetting": bench.interval(forgot, units[: len(known)]),
        "after": [round(float(np.mean([np.mean(k[t]) for k in known])), 2) for t in range(len(known[0]))],
        "averages": [round(float(a), 2) for a in averages],
        "forgotten": [round(float(f), 2) for f in forgot],
    }


def text(result: dict) -> str:
    """For a terminal."""
    setting = result["setting"]
    head = f"{setting['title']}: {setting['tasks']} tasks of {setting['way']} classes, {setting['shot']} shots"
    lines = [f"{head}; seed {setting['seed']}, {setting['model']['name']}"]
    lines.append(f"{'strategy':10}  {'':8}  {'average':>12}  {'forgotten':>12}  sequences")
    for row in result["rows"]:
        cells = [f"{row[name]['mean']:.1f} ± {row[name]['interval']:.1f}" for name in ("average", "forgetting")]
        lines.append(
            f"{row['strategy']:10}  {row['arithmetic']:8}  {cells[0]:>12}  {cells[1]:>12}  {len(row['averages']):9}"
        )
    return "\n".join(lines)
