"""Episodes again, on a board: it must answer as the simulator does, to the bit, and its own clock says the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host import flash, streaming, tlm
from tinylearn_host.learning.arithmetic import Integers, Job
from tinylearn_host.learning.tasks import Task
from tinylearn_host.samples import Samples
from tinylearn_host.transport import Transport

Show = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Replayed:
    """seconds: of the adaptation, on the board; peak: of its heap in bytes, or None where it cannot tell; options: of
    model.adapt."""

    number: int
    method: str
    arithmetic: str
    options: dict
    same: bool
    seconds: float
    peak: int | None

    def line(self) -> str:
        verdict = "the same bits" if self.same else "DIFFERENT"
        return f"episode {self.number:4}  {self.method:12} {self.arithmetic:6} {verdict}, {self.seconds:.1f} s there"


def sample(episodes: int, count: int, seed: int) -> list[int]:
    """Which episodes: drawn with the seed, each once."""
    return sorted(np.random.default_rng([seed, 7]).permutation(episodes)[:count].tolist())


def run(
    board: Transport | None, path: Path, task: Task, jobs: list[Job], numbers: list[int], queries: int, show: Show
) -> list[Replayed]:
    """Every job on these episodes, on the board and in the simulator. queries: how many of each are asked.

    The board has the model already, under flash.MODEL.
    """
    found, model = [], tlm.read(path)
    for job in jobs:
        runner = Integers(job, task, model)
        for number in numbers:
            support, query = _samples(task, job, number, queries)
            options = runner.options(number)
            method = options.pop("method")
            there = streaming.adapt(board, path, flash.MODEL, support, query, method=method, **options)
            here = streaming.adapt(None, path, flash.MODEL, support, query, method=method, **options)
            same = _bits(there) == _bits(here)
            found.append(
                Replayed(number, job.method, job.arithmetic, job.options, same, there.seconds, there.peak_heap_bytes)
            )
            show("replaying", len(found), len(jobs) * len(numbers))
    return found


def _bits(outcome: streaming.Outcome) -> tuple[list, list[int]]:
    """Classes and probabilities. These are whole 32768ths, and some boards print fewer digits of a number."""
    return outcome.after, [round(32768 * p) for p in outcome.confidence]


def _samples(task: Task, job: Job, number: int, queries: int) -> tuple[Samples, Samples]:
    episode = task.episode(job.seed, number)
    asked = np.random.default_rng([job.seed, number, 3]).permutation(len(episode.query))[:queries]
    parts = ((episode.support, episode.support_class), (episode.query[asked], episode.query_class[asked]))
    return tuple(Samples(np.ascontiguousarray(task.pool.x[rows]), classes.tolist()) for rows, classes in parts)
