"""What panels of weights that stay in the arena save of a Pico's answer (`tinylearn partition --panels`), and of a step
of training, where the RAM that a budget leaves is theirs.

benchmarks/kept_panels.py               everything; writes benchmarks/results/kept_panels.json and docs/benchmarks.md
benchmarks/kept_panels.py --only emg    names that begin so: prints, writes nothing; with --save, those rows
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "host")]

import command  # noqa: E402
import numpy as np  # noqa: E402
from tinylearn_host import panels, paths, simulator, tlm  # noqa: E402
from tinylearn_host.bench import workloads  # noqa: E402
from tinylearn_host.bench.measure import Figure, Meter  # noqa: E402

MODELS = ("emg", "glyph", "speech", "kws_ref_model")
ROOMS = (0, 24 << 10, 48 << 10, 96 << 10)  # bytes of arena
# Steps on emg, whose panels of 21 KB a Pico has in one piece: options, and budgets; the larger has room for one
STEPS = {
    "emg, step scheme": ({"method": "scheme", "scheme": "32K"}, (75_000, 90_000)),
    "emg, step full": ({"method": "full", "layers": 2}, (60_000, 100_000)),
    "emg, step bias": ({"method": "bias", "layers": 4}, (40_000, 90_000)),
}
WAYS, COUNT, ROOM_FOR = 5, 25, 10  # classes and samples; classes that a board leaves room for where it does not know


def main(arguments: list[str] | None = None) -> int:
    return command.run("kept_panels", __doc__, _rows, arguments)


def _rows(meter: Meter, only: str) -> Iterator[dict]:
    for name in MODELS:
        if fnmatchcase(name, only + "*"):
            yield from _measure(meter, name)
    for name in STEPS:
        if fnmatchcase(name, only + "*"):
            yield from _measure_step(meter, name)


def _measure(meter: Meter, name: str) -> Iterator[dict]:
    """A row of each room that keeps more panels than the one before it; without cycles where the board has no RAM."""
    work = next(work for work in workloads.choose(name) if work.name == name)
    before = None
    for room in ROOMS:
        model = panels.keep(tlm.read(work.model), room)
        stay = panels.trade(model, None)["stay_bytes"]
        if stay == before:
            continue
        before = stay
        (figure,) = meter.figures(replace(work, model=model.raw, tflite=None))
        print(f"{stay:>8,} bytes {figure.line()}", flush=True)
        measured = {"cycles": figure.value, "exact": figure.exact} if isinstance(figure, Figure) else {}
        yield {"name": name, "board": meter.name, "macs": figure.macs, "stay_bytes": stay} | measured


def _measure_step(meter: Meter, name: str) -> Iterator[dict]:
    """A row of each budget: what is trained is the same, and samples are noise."""
    asked, budgets = STEPS[name]
    raw = (paths.MODELS / "emg" / "emg.tlm").read_bytes()
    size = tlm.read(raw).tensors[tlm.read(raw).input].bytes
    x = np.random.default_rng(1).integers(-100, 100, (COUNT, size)).astype(np.int8).tobytes()
    labels = bytes(i % WAYS for i in range(COUNT))
    for budget in budgets:
        options = {**asked, "budget": budget, "cache": "flash", "head": "prototype"}
        fit = _fit(raw, options)
        macs = COUNT * (2 * fit.tail.macs[1] + fit.tail.macs[2])
        (figure,) = meter.figures(workloads.Workload(name, "step", macs, raw, x, (labels, options)))
        print(f"{fit.panel_bytes:>8,} bytes {figure.line()}", flush=True)
        measured = {"cycles": figure.value, "exact": figure.exact} if isinstance(figure, Figure) else {}
        yield {"name": name, "board": meter.name, "macs": macs, "stay_bytes": fit.panel_bytes} | measured


def _fit(raw: bytes, options: dict):
    """firmware/tinylearn/tuning.Fit of what a board plans."""
    simulator.module()
    tuning, model = import_module("tinylearn.tuning"), import_module("tinylearn.model").Model(bytearray(raw))
    model.in_place = True  # as if it had come from the board's flash
    return tuning.find(model, options["method"], COUNT, ROOM_FOR, tuning.Settings(model, options))


if __name__ == "__main__":
    sys.exit(main())
