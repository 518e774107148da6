"""The simulator: the board's C, compiled for this machine, bit for bit what a board computes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from tinylearn_host import paths, tlm
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, TinylearnError


def on_path() -> None:
    """Let `import tinylearn` find the board's package, and it the simulator under the names of the native modules.

    That package collects garbage often, as it must on a board: what this process holds already is no longer looked at.
    """
    for folder in (paths.FIRMWARE.parent, paths.SIMULATOR):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
            gc.freeze()


def module() -> ModuleType:
    """The native module tl_infer, as the simulator has it; compiled on first use."""
    on_path()
    try:
        return import_module("tl_infer")
    except ImportError as error:
        raise TinylearnError(str(error)) from None


class Simulator:
    """One model, ready to run: the file and one arena."""

    def __init__(self, source: str | Path | bytes):
        """source: a .tlm's path or its bytes. Raises TinylearnError (11) where it is damaged."""
        self.tl_infer = module()
        self.model = tlm.read(source)
        self.file = np.frombuffer(self.model.raw, np.uint8).copy()  # numpy aligns what it owns
        self.arena = np.zeros(self.model.arena, np.int8)
        status = self.tl_infer.check(self.file)
        if status:
            raise TinylearnError(f"the board would refuse the model with {explain(status)}", BAD_MODEL)

    def run(self, x: np.ndarray) -> np.ndarray:
        """y int8 in the model's output shape (h, w, c), of one sample x int8 with as many values as the model takes."""
        self._run(x, len(self.model.ops))
        return self.view(self.model.output).reshape(self.model.output_shape()).copy()

    def features(self, x: np.ndarray) -> np.ndarray:
        """What a head reads of one sample, as for `run`: int8 [n]."""
        self._run(x, self.model.head)
        return self.view(self.model.features).copy()

    def _run(self, x: np.ndarray, last: int) -> None:
        self.view(self.model.input)[:] = _sample(x, self.model)
        status = self.tl_infer.run(self.file, self.arena, 0, last)
        if status:
            raise TinylearnError(f"the model does not run: {explain(status)}", BAD_MODEL)

    def steps(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """The int8 output (h, w, c) of one operator after the other, for one sample; overwritten by those to come."""
        self.view(self.model.input)[:] = _sample(x, self.model)
        for index, op in enumerate(self.model.ops):
            status = self.tl_infer.run(self.file, self.arena, index, index + 1)
            if status:
                raise TinylearnError(f"operator {index} does not run: {explain(status)}", BAD_MODEL)
            yield self.view(op.y).reshape(self.model.tensors[op.y].shape[1:])

    def run_batch(self, x: np.ndarray) -> np.ndarray:
        """y int8 [n, h, w, c] of x int8 [n, ...], one sample after the other."""
        return np.stack([self.run(sample) for sample in x])

    def view(self, index: int) -> np.ndarray:
        """The int8 values of an activation, where it lies in the arena; overwritten by operators to come."""
        record = self.model.tensors[index]
        return self.arena[record.place : record.place + record.bytes]


def _sample(x: np.ndarray, model: tlm.Model) -> np.ndarray:
    size = int(np.prod(model.input_shape()))
    if x.dtype != np.int8 or x.size != size:
        raise TinylearnError(
            f"a sample is {x.dtype} {tuple(x.shape)}; the model takes int8 {model.input_shape()}, {size} values",
            BAD_DATA,
        )
    return x.reshape(-1)


def explain(status: int) -> str:
    """The board's own sentence for a status."""
    on_path()
    return import_module("tinylearn.errors").explain(status)
