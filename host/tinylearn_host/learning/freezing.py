"""Where continual learning should leave a network as it is: a freeze point, from each layer's plasticity and stability.

LightCL (arXiv 2407.10545) freezes layers that generalise and change little anyway; its measures of that are not known.
These stand for them, in the board's integers, over pairs of tasks that come one after the other:

    LP(l) = accuracy on the second task with everything before l frozen / the best over all l
    MS(l) = 1 - |F_l after the second task - F_l before it| / |F_l before it|, over samples of the first

The freeze point is the last layer whose LP is within `tolerance` of 1: everything before it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinylearn_host import tlm
from tinylearn_host.learning import continual
from tinylearn_host.learning.continual import Integers, Job, Setting
from tinylearn_host.training_sections import BIAS, WEIGHTS

TOLERANCE = 0.01
Show = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Layer:
    """op: the operator from which on everything is trained. plasticity, stability: LP and MS, 0 .. 1. new, old: percent
    of the second and the first task's queries that are right in the end."""

    op: int
    plasticity: float
    stability: float
    new: float
    old: float


@dataclass(frozen=True)
class Result:
    layers: list[Layer]
    freeze: int

    def as_json(self) -> dict:
        return {"freeze": self.freeze, "layers": [vars(layer) for layer in self.layers]}


def measure(setting: Setting, options: dict, seed: int, pairs: int, tolerance: float, show: Show) -> Result:
    """Over the first two tasks of so many sequences. options: of model.adapt, without layers."""
    sequences, model = setting.open()
    ops = [record.op for record in model.backward if record.flags & (WEIGHTS | BIAS)]  # last first
    found = {op: [] for op in ops}
    stable = {op: [] for op in ops}
    for number in range(pairs):
        for k, op in enumerate(ops, 1):
            pair = Pair(Integers(Job("alone", "int8", seed, {**options, "layers": k}), sequences, model), number)
            found[op].append(pair.accuracies())
            if k == len(ops):
                for index, share in pair.stability(ops).items():
                    stable[index].append(share)
            show("layers", number * len(ops) + k, pairs * len(ops))
    new = {op: float(np.mean([known[0] for known in found[op]])) for op in ops}
    best = max(new.values())
    layers = [
        Layer(
            op,
            round(new[op] / best, 4),
            round(float(np.mean(stable[op])), 4),
            round(new[op], 2),
            round(float(np.mean([known[1] for known in found[op]])), 2),
        )
        for op in sorted(ops)
    ]
    return Result(layers, max(layer.op for layer in layers if layer.plasticity >= 1 - tolerance))


class Pair:
    """A board that has learned the first two tasks of a sequence."""

    def __init__(self, runner: Integers, number: int):
        self.runner, self.episodes = runner, runner.sequences.draw(runner.job.seed, number)[:2]
        self.model = continual.board("model").load(str(runner.path), recall=False)
        runner._learn(self.model, self.episodes[0], number, 0)
        self.before = self._maps()
        runner._learn(self.model, self.episodes[1], number, 1)

    def accuracies(self) -> tuple[float, float]:
        """(of the second task, of the first)"""
        return tuple(self.runner._accuracy(self.model, episode) for episode in reversed(self.episodes))

    def stability(self, ops: list[int]) -> dict[int, float]:
        after = self._maps()
        apart = {op: np.linalg.norm(after[op] - self.before[op]) / np.linalg.norm(self.before[op]) for op in ops}
        return {op: max(0.0, 1 - float(share)) for op, share in apart.items()}

    def _maps(self) -> dict[int, np.ndarray]:
        """What each operator gives for the samples of the first task, without its zero point."""
        model, found = self.model, {}
        for x in self.runner.sequences.task.pool.x[self.episodes[0].support]:
            model.take(x)
            for op in range(model.first_of_head):
                model._run(op, op + 1)
                y, _, zero = model.tensor(model.operator(op, "<H", 16)[0])
                found.setdefault(op, []).append(np.frombuffer(bytes(y), np.int8).astype(np.float64) - zero)
        return {op: np.stack(maps) for op, maps in found.items()}


def with_freeze(model: tlm.Model, op: int) -> tlm.Model:
    """The same model, whose card says that continual learning trains nothing before `op`."""
    train = model.meta.get("train")
    meta = {**model.meta, "train": {**(train if isinstance(train, dict) else {}), "freeze": op}}
    return tlm.read(tlm.rewrite(model, {b"META": (tlm.meta_text(meta), 0)}))
