"""Runs the rows of a task over its episodes: in several processes, and on from where an earlier run was stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tinylearn_host import partition, paths, tlm
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


def run(setting: Setting, jobs: list[Job], episodes: int, processes: int, show: Show) -> dict:
    """The JSON of a run: each job's accuracy of each episode, with means and intervals, and what it costs."""
    task, model = setting.open()
    units = [task.episode(jobs[0].seed, number).unit for number in range(episodes)]
    rows = []
    with ProcessPoolExecutor(processes, initializer=_prepare, initargs=(setting,)) as pool:
        for job in jobs:
            found = _episodes(pool, setting, model, job, episodes, show)
            rows.append(_row(job, found, units))
    for row, job in zip(rows, jobs, strict=True):
        row["costs"] = costs.of(job, task, model)
    return {"setting": _about(setting, task, model, jobs[0].seed, episodes), "rows": rows}


def _about(setting: Setting, task: tasks.Task, model: tlm.Model, seed: int, episodes: int) -> dict:
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
    """Mean and half of its 95 % interval over units: episodes, or people where each has several episodes."""
    whose = np.unique(units, return_inverse=True)[1]
    means = np.bincount(whose, values) / np.bincount(whose)
    half = 1.96 * means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else float("nan")
    return {"mean": round(float(means.mean()), 3), "interval": round(float(half), 3), "units": len(means)}


# ---- Episodes, in processes of their own -----------------------------------------------------------------------------

_opened: tuple[tasks.Task, tlm.Model] | None = None
_runners: dict[str, arithmetic.Runner] = {}


def _prepare(setting: Setting) -> None:
    global _opened
    _opened = setting.open()


def _work(job: Job, numbers: list[int]) -> tuple[list[int], list[float]]:
    key = repr(job)
    if key not in _runners:
        _runners[key] = arithmetic.runner(job, *_opened)
    return numbers, _runners[key].accuracies(numbers)


def _episodes(pool, setting: Setting, model: tlm.Model, job: Job, episodes: int, show: Show) -> list[float]:
    """The accuracy of each episode. What is known from an earlier run of the same code and data stays."""
    journal = Journal(setting, model, job)
    missing = [number for number in range(episodes) if number not in journal.known]
    show(job.name, episodes - len(missing), episodes)
    size = arithmetic.at_once(job)
    waiting = [pool.submit(_work, job, missing[a : a + size]) for a in range(0, len(missing), size)]
    for done in as_completed(waiting):
        journal.add(*done.result())
        show(job.name, len(journal.known), episodes)
    return [journal.known[number] for number in range(episodes)]


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
