"""What is measured: a name, a function of on_board/bench.py with its arguments, and the files that these name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host import importers, paths, tlm
from tinylearn_host.bench import kernels

WAYS, SHOTS = 10, 5
STEPS = 40


@dataclass(frozen=True)
class Workload:
    """call: a function of on_board/bench.py; files: contents by name; arguments: those names, then literals.

    tflite: the same model for other people's interpreters, where there is one.
    """

    name: str
    call: str
    macs: int
    files: dict[str, bytes]
    arguments: tuple = ()
    tflite: bytes | None = field(default=None, repr=False)

    @property
    def call_arguments(self) -> tuple:
        return (*self.files, *self.arguments)


def layers() -> list[Workload]:
    """L1 .. L6, one operator each."""
    return [
        _forward("kernel", layer.name, tlm.build(kernels.graph(layer)), kernels.sample(layer))
        for layer in kernels.LAYERS
    ]


def model(path: Path) -> Workload:
    """A whole answer of the .tlm or .tflite at `path`, to noise."""
    raw = path.read_bytes() if path.suffix == ".tlm" else tlm.build(importers.load(path))
    shape = tlm.read(raw).input_shape()
    x = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
    return _forward("predict", path.stem, raw, x)


def _forward(call: str, name: str, raw: bytes, x: np.ndarray) -> Workload:
    macs = sum(op.macs for op in tlm.read(raw).ops)
    return Workload(name, call, macs, {"bench.tlm": raw, "bench.x": x.tobytes()})


def zoo() -> list[Path]:
    """The models that we trained."""
    return sorted(paths.MODELS.glob("*/*.tlm"))
