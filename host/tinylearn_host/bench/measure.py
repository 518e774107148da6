"""Run workloads on a board, and the same program in the simulator to compare what they answer."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tinylearn_host import boards, flash, simulator
from tinylearn_host.bench.workloads import Workload
from tinylearn_host.errors import BOARD_ERROR, TinylearnError
from tinylearn_host.on_board import source
from tinylearn_host.transport import Transport, connect

PATIENCE = 600  # seconds that one measurement may take


@dataclass(frozen=True)
class Figure:
    """What one workload cost on one board.

    unit:      "cycles", "instructions" or "seconds" of one call
    overhead:  of a call that does nothing, in the same unit; `value` is without it
    exact:     whether the answer has the simulator's bits
    """

    name: str
    board: str
    macs: int
    unit: str
    value: float
    overhead: float
    exact: bool

    def as_json(self) -> dict:
        per_mac = self.value / self.macs if self.macs else None
        return {
            "name": self.name,
            "board": self.board,
            "macs": self.macs,
            self.unit: self.value,
            "per_mac": per_mac and float(f"{per_mac:.4g}"),
            "overhead": self.overhead,
            "exact": self.exact,
        }


class Meter:
    """A board with tinylearn on it, ready to measure."""

    def __init__(self, board: boards.Board, link: Transport):
        self.board, self.link = board, link

    @classmethod
    @contextmanager
    def opened(cls, name: str, port: str | None = None, transport: str = "mpremote") -> Iterator[Meter]:
        """The board called `name`; an emulated one starts with an empty flash of its own. Raises as boards.opened."""
        board = boards.find(name)
        options = board.counter.get("options", ())
        with _fresh_state(), boards.opened(name, port, options) as device, connect(device, transport) as link:
            flash.flash(link, flash.default_model())
            yield cls(board, link)

    def figure(self, work: Workload) -> Figure:
        """Measure one workload, on a freshly reset board."""
        link = self.link
        link.soft_reset()
        for name, data in work.files.items():
            link.put(name, data)
        link.exec(self._measure())
        link.exec(source("bench"))
        answer = link.exec(f"print({work.call}(measure, *{work.call_arguments!r}))", PATIENCE)
        status, empty, call, result = ast.literal_eval(answer)
        if status:
            raise TinylearnError(
                f"{work.name} does not run on {self.board.name}: {simulator.explain(status)}", BOARD_ERROR
            )
        overhead, total = self._value(empty), self._value(call)
        value = total - overhead
        if self.unit == "seconds":
            value, overhead = float(f"{value:.4g}"), float(f"{overhead:.4g}")
        return Figure(work.name, self.board.name, work.macs, self.unit, value, overhead, result == simulated(work))

    @property
    def unit(self) -> str:
        return self.board.counter.get("unit", "seconds")

    def _measure(self) -> str:
        """A program that defines `measure`."""
        counter = self.board.counter
        if not counter:
            return source("stopwatch")
        return source("counter", f"measure = counter({counter['address']}, {counter.get('start', [])})")

    def _value(self, measure: tuple[int, int]) -> float:
        ticks, calls = measure
        if self.unit == "seconds":
            return ticks / calls / 1e6
        per_unit = self.board.counter.get("ticks", 1)  # negative where it counts down
        return round((ticks if per_unit > 0 else -ticks) % 2**32 / abs(per_unit))


def simulated(work: Workload) -> bytes:
    """What a workload answers, from the simulator."""
    simulator.on_path()
    program = import_module("tinylearn_host.on_board.bench")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in work.files.items():
            (Path(folder) / name).write_bytes(data)
        files = [str(Path(folder) / name) for name in work.files]
        return getattr(program, work.call)(_call_it, *files, *work.arguments)[3]


def _call_it(f, *args) -> tuple[int, int]:
    return 0, 1


@contextmanager
def _fresh_state() -> Iterator[None]:
    """Emulated boards that are started in this block keep their flash in a folder that ends with it."""
    before = os.environ.get("TINYLEARN_STATE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYLEARN_STATE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TINYLEARN_STATE"]
            else:
                os.environ["TINYLEARN_STATE"] = before
