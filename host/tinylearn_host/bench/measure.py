"""Run workloads on a board, and the same program in the simulator to compare what they answer."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tinylearn_host import boards, flash, paths, simulator
from tinylearn_host.bench import litert, profile
from tinylearn_host.bench.workloads import Workload
from tinylearn_host.errors import BOARD_ERROR, TinylearnError
from tinylearn_host.on_board import source, stopwatch
from tinylearn_host.transport import BoardError, Transport, connect

MODEL, DATA = "bench.tlm", "bench.bin"
PATIENCE = 600  # seconds that one measurement may take


@dataclass(frozen=True)
class Figure:
    """What one workload cost on one board.

    unit:      "cycles", "instructions" or "seconds", of one call
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

    @property
    def per_mac(self) -> float | None:
        """None of what multiplies nothing: a mean, a softmax."""
        return self.value / self.macs if self.macs else None

    def as_json(self) -> dict:
        return {
            "name": self.name,
            "board": self.board,
            "macs": self.macs,
            self.unit: _short(self.value),
            "per_mac": None if self.per_mac is None else _short(self.per_mac),
            "overhead": _short(self.overhead),
            "exact": self.exact,
        }

    def line(self) -> str:
        """For people."""
        timed = self.unit == "seconds"
        cost = f"{self.value * 1e6:,.2f} us" if timed else f"{self.value:,} {self.unit}"
        per_mac = ""
        if self.per_mac is not None:
            per_mac = (f"{self.per_mac * 1e9:.3f} ns" if timed else f"{self.per_mac:.2f}") + " per MAC"
        exact = "exact" if self.exact else "not exact"
        return f"{self.board:14} {self.name:42} {cost:>28}  {per_mac:>17}  {exact}"


@dataclass(frozen=True)
class Refusal:
    """A workload for which a board has too little RAM."""

    name: str
    board: str
    macs: int
    why: str

    def as_json(self) -> dict:
        return {"name": self.name, "board": self.board, "macs": self.macs, "does_not_fit": self.why}

    def line(self) -> str:
        return f"{self.board:14} {self.name:42} does not fit: {self.why}"


def _short(value: float) -> float:
    """Seconds are not known to more than four digits; counts are."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


class Meter:
    """A board with tinylearn on it, ready to measure. link None: the simulator."""

    def __init__(self, name: str, counter: dict, link: Transport | None):
        self.name, self.counter, self.link = name, counter, link

    @classmethod
    @contextmanager
    def opened(cls, name: str, port: str | None = None, transport: str = "mpremote") -> Iterator[Meter]:
        """The board called `name`; an emulated one starts with an empty flash of its own. Raises as boards.opened."""
        if name == "sim":
            yield cls(name, {}, None)
            return
        with cls.bare(name, port, transport) as meter:
            flash.flash(meter.link, flash.default_model())
            try:
                yield meter
            finally:
                meter.clear()

    @classmethod
    @contextmanager
    def bare(cls, name: str, port: str | None = None, transport: str = "mpremote") -> Iterator[Meter]:
        """A board without tinylearn: only its counter is of use."""
        counter = boards.find(name).counter
        words = counter.get("options", ())
        with _fresh_state(), boards.opened(name, port, words) as device, connect(device, transport) as link:
            yield cls(name, counter, link)

    def figures(self, work: Workload) -> list[Figure | Refusal]:
        """What the workload costs on the board, and, where the board is this machine, in LiteRT."""
        expected = _simulate(work, _Uncounted())[3]
        try:
            status, empty, call, result = self._run(work)
        except BoardError as error:
            if not error.exception.startswith("MemoryError"):
                raise
            return [Refusal(work.name, self.name, work.macs, error.exception.partition(": ")[2])]
        if status:
            raise TinylearnError(f"{work.name} does not run on {self.name}: {simulator.explain(status)}", BOARD_ERROR)
        overhead = self.value(empty)
        value = self.value(call) - overhead
        unit = self.counter.get("unit", "seconds")
        ours = Figure(work.name, self.name, work.macs, unit, value, overhead, result == expected)
        return [ours, *self._peers(work, expected)]

    def profile(self, work: Workload) -> Counter:
        """{function: cycles} of one call (profile.py); the board must be able to count them by address."""
        program = source("profile", call=f"measure = Profiler({profile.REGISTER})")
        status = self._run(work, source("counter") + program)[0]
        if status:
            raise TinylearnError(f"{work.name} does not run on {self.name}: {simulator.explain(status)}", BOARD_ERROR)
        board = boards.find(self.name)
        with profile.control(board.state_folder) as control:
            return profile.functions(control.profile(), board.mpy_archs[0])

    def _run(self, work: Workload, stopwatch_program: str | None = None) -> tuple:
        """The answer of on_board/bench.py, from a freshly reset board."""
        if self.link is None:
            return _simulate(work, stopwatch.measure)
        native = paths.NATIVE / boards.find(self.name).mpy_archs[0]
        modules = {f"/lib/{name}.mpy": (native / f"{name}.mpy").read_bytes() for name in work.modules()}
        self._send({MODEL: work.model, DATA: work.data, **modules})
        self.link.soft_reset()
        self.link.exec(f"import tinylearn\nmodel = tinylearn.load({MODEL!r}, recall=False)")
        self.link.exec(stopwatch_program or self.stopwatch())
        call = f"{work.call}(measure, model, *{(DATA, *work.arguments)!r})"
        return ast.literal_eval(self.link.exec(source("bench", call=f"print({call})"), PATIENCE))

    def _send(self, files: dict[str, bytes]) -> None:
        """Those of the files that the board has not from the workload before."""
        there = self.link.hashes(list(files))
        for (path, data), known in zip(files.items(), there, strict=True):
            if hashlib.sha256(data).hexdigest() != known:
                self.link.put(path, data)

    def clear(self) -> None:
        """Leave nothing of the workloads on the board."""
        self.link.remove(MODEL)
        self.link.remove(DATA)

    def stopwatch(self) -> str:
        """The program that defines `measure` on the board."""
        c = self.counter
        if not c:
            return source("stopwatch")
        step = 1 if c.get("ticks", 1) > 0 else -1
        return source("counter", call=f"measure = Counter({c['address']}, {c['hz']}, {step}, {c.get('start', [])})")

    def value(self, measured: tuple[int, int]) -> float:
        """Units, or seconds, of one call."""
        ticks, calls = measured
        return round(ticks / abs(self.counter.get("ticks", 1))) if self.counter else ticks / calls / 1e6

    def say_what_is_missing(self, chosen: list[Workload]) -> None:
        """On stderr, where LiteRT would be measured, too, if it were installed."""
        if any(self._has_peers(work) for work in chosen) and not litert.installed():
            print(litert.MISSING, file=sys.stderr)

    def _has_peers(self, work: Workload) -> bool:
        return self.name in ("unix", "sim") and work.tflite is not None

    def _peers(self, work: Workload, expected: bytes) -> Iterator[Figure]:
        if not self._has_peers(work) or not litert.installed():
            return
        for peer in litert.RESOLVERS:
            seconds, answer = litert.run(work.tflite(), work.x, peer)
            yield Figure(f"{work.name}, {peer}", self.name, work.macs, "seconds", seconds, 0.0, answer == expected)


class _Uncounted:
    """A `measure` that runs what it is given once."""

    laps = 1

    def start(self) -> None:
        pass

    def stop(self) -> int:
        return 0

    def __call__(self, f: Callable, *args) -> tuple[int, int]:
        f(*args)
        return 0, 1


def _simulate(work: Workload, measure: Callable) -> tuple:
    """The answer of on_board/bench.py, run in this process."""
    simulator.module()  # or say why there is none
    program = import_module("tinylearn_host.on_board.bench")
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder, MODEL), Path(folder, DATA)
        model.write_bytes(work.model)
        data.write_bytes(work.data)
        loaded = import_module("tinylearn").load(str(model), recall=False)
        return getattr(program, work.call)(measure, loaded, str(data), *work.arguments)


@contextmanager
def _fresh_state() -> Iterator[None]:
    """Emulated boards that are started in this block keep their flash in a folder that ends with it."""
    before = os.environ.get("TINYLEARN_STATE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYLEARN_STATE"] = folder
        try:
            yield
        finally:
            del os.environ["TINYLEARN_STATE"]
            if before is not None:
                os.environ["TINYLEARN_STATE"] = before
