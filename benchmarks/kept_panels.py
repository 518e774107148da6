"""What panels of weights that stay in the arena (`tinylearn partition --panels`) save of a Pico's answer.

benchmarks/kept_panels.py               everything; writes benchmarks/results/kept_panels.json and docs/benchmarks.md
benchmarks/kept_panels.py --only emg    names that begin so: prints, writes nothing; with --save, those rows
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "host")]

import command  # noqa: E402
from tinylearn_host import panels, tlm  # noqa: E402
from tinylearn_host.bench import workloads  # noqa: E402
from tinylearn_host.bench.measure import Figure, Meter  # noqa: E402

MODELS = ("emg", "glyph", "speech", "kws_ref_model")
ROOMS = (0, 24 << 10, 48 << 10, 96 << 10)  # bytes of arena


def main(arguments: list[str] | None = None) -> int:
    return command.run("kept_panels", __doc__, _rows, arguments)


def _rows(meter: Meter, only: str) -> Iterator[dict]:
    for name in MODELS:
        if fnmatchcase(name, only + "*"):
            yield from _measure(meter, name)


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


if __name__ == "__main__":
    sys.exit(main())
