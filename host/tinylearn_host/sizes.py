"""What a model costs on a board: heap, flash and time, reckoned before any board is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from tinylearn_host import flash, ir, paths, tlm
from tinylearn_host.boards import Board
from tinylearn_host.device import kb

NATIVE_BYTES = 14 * 1024  # of a native module whose size is not known because it is not built here
CYCLES = {ir.CONV2D: "conv", ir.DEPTHWISE_CONV2D: "depthwise", ir.FULLY_CONNECTED: "dense"}


@dataclass(frozen=True)
class Fit:
    """A model's needs on a board, in bytes; a board that is asked by `tinylearn flash` knows better.

    native, package:  tinylearn itself, which lives on the heap once imported; `built`: whether native is measured
    training:         both, of what is loaded only where the network itself is trained
    passing:          both, of what takes flash, but no heap of its own
    model:            the file, on the heap where the filesystem cannot be used in place
    arena:            what it works in, the scratch of a front end included
    seconds:          of one forward; None where the board's file has no cycle counts
    """

    board: Board
    model: int
    arena: int
    native: int
    package: int
    training: int
    passing: int
    built: bool
    seconds: float | None

    @property
    def heap_needed(self) -> int:
        return self.model + self.arena + self.native + self.package + flash.SPARE_HEAP

    @property
    def flash_needed(self) -> int:
        return self.model + self.native + self.package + self.training + self.passing

    @property
    def heap_free(self) -> int:
        """What is left; negative: by how much it does not fit."""
        return self.board.heap_bytes - self.heap_needed

    @property
    def left_for_training(self) -> int:
        """Bytes of heap once everything that trains the network is loaded."""
        return self.heap_free - self.training

    @property
    def flash_free(self) -> int:
        return self.board.flash_bytes - self.flash_needed

    @property
    def fits(self) -> bool:
        return self.heap_free >= 0 and self.flash_free >= 0

    def sentence(self) -> str:
        short = [
            f"{kb(-free)} of {what} too little"
            for what, free in (("heap", self.heap_free), ("flash", self.flash_free))
            if free < 0
        ]
        verdict = "fits" if self.fits else f"does not fit: {' and '.join(short)}"
        needs = f"{kb(self.heap_needed)} of {kb(self.board.heap_bytes)} heap, {kb(self.flash_needed)} of flash"
        time = "" if self.seconds is None else f", about {self.seconds * 1000:.0f} ms per answer"
        return f"{self.board.name}: {verdict} ({needs}{time})"

    def as_json(self) -> dict:
        return {
            "board": self.board.name,
            "fits": self.fits,
            "model_bytes": self.model,
            "arena_bytes": self.arena,
            "native_bytes": self.native,
            "native_measured": self.built,
            "package_bytes": self.package,
            "training_bytes": self.training,
            "heap_needed": self.heap_needed,
            "heap_free": self.heap_free,
            "flash_needed": self.flash_needed,
            "flash_free": self.flash_free,
            "seconds": self.seconds,
        }


def fit(board: Board, model: tlm.Model) -> Fit:
    """What `model` needs on `board`."""
    modules, built = native_bytes(tuple(board.mpy_archs), flash.needed(model))
    (native, *native_more), (package, *package_more) = _parts(modules), _parts(package_bytes())
    training, passing = (a + b for a, b in zip(native_more, package_more, strict=True))
    time = seconds(board, model)
    return Fit(board, len(model.raw), flash.working_bytes(model), native, package, training, passing, built, time)


def _parts(modules: dict[str, int]) -> tuple[int, int, int]:
    """Bytes of the modules that are always loaded, of flash.TRAINING, and of flash.PASSING."""
    training, passing = (
        sum(modules[name] for name in modules if name in names) for names in (flash.TRAINING, flash.PASSING)
    )
    return sum(modules.values()) - training - passing, training, passing


@cache
def native_bytes(architectures: tuple[str, ...], names: tuple[str, ...]) -> tuple[dict[str, int], bool]:
    """Bytes of each native module for the first of `architectures` that is built here, and whether one is."""
    for architecture in architectures:
        files = {name: paths.NATIVE / architecture / f"{name}.mpy" for name in names}
        if all(file.is_file() for file in files.values()):
            return {name: file.stat().st_size for name, file in files.items()}, True
    return dict.fromkeys(names, NATIVE_BYTES), False


@cache
def package_bytes() -> dict[str, int]:
    """Bytes of each module of the board's package as bytecode."""
    return {PurePosixPath(file.path).stem: len(file.data) for file in flash.package()}


class Pace(NamedTuple):
    """How fast a board is, as firmware/tinylearn/plan.py has it: seconds of each operator, the core's clock in Hz."""

    times: list[float]
    hz: float


def seconds(board: Board, model: tlm.Model) -> float | None:
    """Of one forward."""
    found = pace(board, model)
    return sum(found.times) if found else None


def pace(board: Board, model: tlm.Model) -> Pace | None:
    """From the board's cycles per multiply-accumulate; other operators are not counted. None where it has none."""
    if not (board.cycles_per_mac and board.clock_hz):
        return None
    per_mac = {name: board.cycles_per_mac[kind] / board.clock_hz for name, kind in CYCLES.items()}
    return Pace([op.macs * per_mac.get(op.name, 0) for op in model.ops], board.clock_hz)


def macs(model: tlm.Model) -> int:
    return sum(op.macs for op in model.ops)


def summary(model: tlm.Model) -> dict:
    """What a report says of a model in one line."""
    return {
        "name": model.name,
        "sha256": model.sha256.hex(),
        "bytes": len(model.raw),
        "arena_bytes": model.arena,
        "operators": len(model.ops),
        "macs": macs(model),
        "input_shape": list(model.input_shape()),
        "output_shape": list(model.output_shape()),
        "features": model.tensors[model.features].bytes,
        "head": model.head,
        "labels": model.labels,
    }
