"""What plan() forecasts on the emulated Pico, beside what adapt takes there: the demo's network, five digits.

    benchmarks/forecast.py [--steps 5] [--shots 5] [--method bias,scheme,full]

The factors in firmware/tinylearn/tuning.py (BACK and so on) come from this: a board times each operator's forward, and
reckons the rest from it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

from board_samples import SAMPLES
from tinylearn_host import boards, digits, flash
from tinylearn_host.bench.workloads import TAIL_BUDGET, TAIL_WAYS
from tinylearn_host.transport import connect

CLOCK = 125_000_000  # Hz, of the emulated Pico, whose clock counts cycles
LOAD = """
import time
import tinylearn
model = tinylearn.load(recall=False)
"""
PLAN = "print(model.plan(ways=WAYS, shots=len(LABELS) // WAYS, **OPTIONS).seconds)"
ADAPT = """
start = time.ticks_ms()
model.adapt(Samples(), head="prototype", **OPTIONS)
print(time.ticks_diff(time.ticks_ms(), start) / 1000)
"""


@click.command()
@click.option("--steps", default=5, show_default=True)
@click.option("--shots", default=5, show_default=True)
@click.option("--method", default="bias,scheme,full", show_default=True)
def main(steps: int, shots: int, method: str) -> None:
    support = digits.task(shots, 1, 1)[0]
    chosen = [i for i, y in enumerate(support.y) if y < TAIL_WAYS]
    labels = [int(support.y[i]) for i in chosen]
    os.environ["TINYLEARN_STATE"] = tempfile.mkdtemp()
    with boards.opened("pico-emulated") as port, connect(port, "mpremote") as link:
        flash.flash(link, flash.default_model(), trains=True)
        link.put("samples.bin", support.x[chosen].tobytes())
        print("method      forecast   measured, at 125 MHz")
        for name in method.split(","):
            options = {"budget": TAIL_BUDGET, "steps": steps, "method": name}
            given = f"LABELS, WAYS, OPTIONS = {labels}, {TAIL_WAYS}, {options}\n"
            forecast, measured = (float(fresh(link, given + LOAD + SAMPLES + what)) for what in (PLAN, ADAPT))
            cycles = f"{measured * CLOCK / 1e9:6.2f} G cycles"
            print(f"{name:10} {forecast:8.1f} s {measured:8.1f} s {cycles}  {forecast / measured - 1:+.0%}", flush=True)


def fresh(link, program: str) -> str:
    """What a program prints whose heap is in one piece."""
    link.soft_reset()
    return link.exec(program, 600)


if __name__ == "__main__":
    main()
