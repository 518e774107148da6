"""Runs the rows of a task over its episodes: in several processes, and on from where an earlier run was stopped."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures import TimeoutError as TimeIsUp
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tinylearn_host import partition, paths, tlm
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.learning import arithmetic, costs, tasks
from tinylearn_host.learning.arithmetic import Job

Show = Callable[[str, int, int], None]
JOURNALS = (paths.BUILD if paths.IS_CLONE else Path("~/.cache/tinylearn").expanduser()) / "learning"


@dataclass(frozen=True)
class Setting:
    """What a worker process needs to draw the same episodes: plain data. spec: a name of tasks.SPECS."""

    spec: str
    model: Path
    file: Path | None
    way: int
    shot: int
    groups: tuple[str, ...]

    def open(self) -> tuple[tasks.Task, tlm.Model]:
        model = read(self.model)
        return tasks.open_task(tasks.SPECS[self.spec], model, self.file, self.way, self.shot, list(self.groups)), model


def read(path: Path) -> tlm.Model:
    """A .tlm with what training needs: a model that has no schemes gets the default ones."""
    model = tlm.read(path)
    return model if model.schemes else partition.prepare(model)


def run(
    setting: Setting, jobs: list[Job], episodes: int, processes: int, show: Show, limit: float | None = None
) -> dict:
    """The JSON of a run: each job's accuracy of each episode, with means and intervals, and what it costs.

    limit: seconds, after which no episode is begun: rows then have the first ones only, those without any are missing.
    """
    task, model = _open(setting)
    refused = {job.name: why for job in jobs if (why := _refusal(job, task, model))}
    jobs = [job for job in jobs if job.name not in refused]
    if not jobs:
        raise TinylearnError("; ".join(f"{name}: {why}" for name, why in refused.items()), USAGE)
    units = [task.episode(jobs[0].seed, number).unit for number in range(episodes)]
    journals = [Journal(setting, model, job) for job in jobs]
    with Workers(setting, processes, any(job.arithmetic == "float32" for job in jobs)) as workers:
        costs_of = [workers.submit(job, _costs, job) for job in jobs]
        _episodes(workers, jobs, journals, episodes, show, limit)
        costs_found = [cost.result() for cost in costs_of]
    rows = []
    for job, journal, cost in zip(jobs, journals, costs_found, strict=True):
        found = journal.first(episodes)
        if found:
            rows.append({**_row(job, found, units[: len(found)]), "costs": cost})
    return {"setting": {**about(setting, jobs[0].seed, episodes), "refused": refused}, "rows": rows}


def _refusal(job: Job, task: tasks.Task, model: tlm.Model) -> str | None:
    """Why a task has no such row: a method cannot train so many samples in its RAM, or wants more people. Raises exit
    code 2 where an option of the row makes no sense."""
    if job.method == arithmetic.WHITENED and len(np.unique(task.pool.group)) < 2:
        return "whitening needs other wearers than the one who is taught"
    if not arithmetic.trains(job.method):
        return None
    arithmetic.check(model, job)
    try:
        arithmetic.fit(model, job, task.way * task.shot, task.way)
    except MemoryError as error:
        return None if job.method == arithmetic.AUTO else str(error)
    except ValueError as error:
        raise TinylearnError(f"{job.name}: {error}", USAGE) from None
    return None


def about(setting: Setting, seed: int, episodes: int) -> dict:
    """What a run's figures are of."""
    task, model = _open(setting)
    return {
        "task": setting.spec,
        "title": task.spec.title,
        "way": task.way,
        "shot": task.shot,
        "episodes": episodes,
        "seed": seed,
        "groups": sorted(map(str, np.unique(task.pool.group))) if task.pool.group.dtype.kind == "U" else [],
        "model": {"name": setting.model.name, "sha256": model.sha256.hex()},
        "data": {"name": setting.file.name, "sha256": _digest(setting.file)} if setting.file else None,
    }


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else ""


def _row(job: Job, found: list[float], units: list[str]) -> dict:
    return {
        "method": job.method,
        "arithmetic": job.arithmetic,
        "options": job.options,
        **interval(np.array(found), units),
        "accuracies": [round(a, 3) for a in found],
    }


def interval(values: np.ndarray, units: list[str]) -> dict:
    """Mean and half of its 95 % interval over units: episodes, or people where each has several episodes and there are
    several."""
    whose = np.unique(units, return_inverse=True)[1]
    whose = whose if whose.any() else np.arange(len(values))
    means = np.bincount(whose, values) / np.bincount(whose)
    half = 1.96 * means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else float("nan")
    return {"mean": round(float(means.mean()), 3), "interval": round(float(half), 3), "units": len(means)}


# ---- Episodes, in processes of their own -----------------------------------------------------------------------------

BLOCK = 20  # episodes of every job, before more of any: float32 runs as many side by side


@lru_cache(1)  # a process that is forked has it already
def _open(setting: Setting) -> tuple[tasks.Task, tlm.Model]:
    return setting.open()


@lru_cache
def _runner(setting: Setting, job: str) -> arithmetic.Runner:
    return arithmetic.runner(_jobs[job], *_open(setting))


_jobs: dict[str, Job] = {}


def _prepare(setting: Setting) -> None:
    """In a worker: what is here stays, so that collecting garbage, as boards do before they adapt, need not look."""
    _open(setting)
    gc.freeze()


def _work(setting: Setting, job: Job, numbers: list[int]) -> tuple[list[int], list[float]]:
    _jobs[repr(job)] = job
    return numbers, _runner(setting, repr(job)).accuracies(numbers)


def _costs(setting: Setting, job: Job) -> dict:
    return costs.of(job, *_open(setting))


def _has_card() -> bool:
    from tinylearn_host.learning.float_net import fastest

    return fastest() != "cpu"


class Workers:
    """Processes for integers, and one for float32 where there is a graphics card, which then takes all at once."""

    def __init__(self, setting: Setting, processes: int, floats: bool):
        self.setting, self.processes, self.floats = setting, processes, floats
        self.pools = []

    def __enter__(self) -> Workers:
        self.pools = [self._pool(self.processes)]
        if self.floats:
            card = self._pool(1)
            self.pools.append(card)
            self.floats = card.submit(_has_card).result()
        return self

    def _pool(self, processes: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(processes, initializer=_prepare, initargs=(self.setting,))

    def __exit__(self, *_) -> None:
        for pool in self.pools:
            pool.shutdown(cancel_futures=True)

    def submit(self, job: Job, function: Callable, *arguments) -> Future:
        pool = self.pools[self.floats and job.arithmetic == "float32"]
        return pool.submit(function, self.setting, *arguments)

    def pieces(self, job: Job, numbers: list[int]) -> list[list[int]]:
        """Of a job's episodes: what is done side by side."""
        if job.arithmetic != "float32":
            return [[number] for number in numbers]
        size = len(numbers) if self.floats else BLOCK
        return [numbers[a : a + size] for a in range(0, len(numbers), size)]


def _episodes(
    workers: Workers, jobs: list[Job], journals: list[Journal], episodes: int, show: Show, limit: float | None
) -> None:
    """Into the journals. What is known from an earlier run of the same code and data stays."""
    order = []
    for at, (job, journal) in enumerate(zip(jobs, journals, strict=True)):
        missing = [number for number in range(episodes) if number not in journal.known]
        show(job.name, episodes - len(missing), episodes)
        order += [(piece[0] // BLOCK, at, piece) for piece in workers.pieces(job, missing)]
    waiting = {workers.submit(jobs[at], _work, jobs[at], piece): at for _, at, piece in sorted(order)}
    try:
        for done in as_completed(waiting, limit):
            at = waiting[done]
            journals[at].add(*done.result())
            show(jobs[at].name, len(journals[at].known), episodes)
    except TimeIsUp:  # of its own until Python 3.10
        for left in waiting:
            left.cancel()


class Journal:
    """A file with one line per episode done, named by all that its figures depend on."""

    def __init__(self, setting: Setting, model: tlm.Model, job: Job):
        about = [setting.spec, setting.way, setting.shot, setting.groups, model.sha256.hex(), asdict(job), _code()]
        about.append(_digest(setting.file) if setting.file else "")
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
        self.path = JOURNALS / f"{setting.spec}-{job.method}-{job.arithmetic}-{name}.jsonl"
        self.known = dict(self._read())

    def _read(self) -> Iterator[tuple[int, float]]:
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            try:
                number, accuracy = json.loads(line)
            except ValueError:  # the run was stopped while it wrote this
                continue
            yield int(number), float(accuracy)

    def first(self, episodes: int) -> list[float]:
        """Accuracies of episode 0, 1 and so on, as far as they are known."""
        known = list(itertools.takewhile(lambda number: number in self.known, range(episodes)))
        return [self.known[number] for number in known]

    def add(self, numbers: list[int], found: list[float]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            for number, accuracy in zip(numbers, found, strict=True):
                self.known[number] = accuracy
                file.write(json.dumps([number, accuracy]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _code() -> str:
    """What computes: a change of it makes old journals worthless."""
    digest = hashlib.sha256()
    folders = (paths.FIRMWARE, paths.SIMULATOR.parent / "kernels", Path(__file__).parent)
    for source in sorted(f for folder in folders for f in folder.glob("*.[pch]*") if f.suffix in (".py", ".c", ".h")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
