"""What is forecast of adapting on a Pico, beside what the emulated one takes: the demo's network, five digits.

    benchmarks/forecast.py [--steps 5] [--shots 5] [--method bias,scheme,full] [--save]

--save puts these rows into benchmarks/results/forecast.json, of which benchmarks/run.py --table makes a table.

A board times each operator's forward and reckons the rest from it, by factors in firmware/tinylearn/tuning.py (BACK and
so on), which come from this; the host, in reports, reckons the same from a board's cycles_per_mac (boards/*.toml).
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

import results
from board_samples import SAMPLES
from tinylearn_host import boards, digits, flash, tlm, training_report
from tinylearn_host.bench.workloads import METHODS, TAIL_BUDGET, TAIL_METHODS, TAIL_WAYS
from tinylearn_host.transport import connect

BOARD = "pico-emulated"  # its clock counts cycles, at the Pico's 125 MHz
LOAD = """
import time
import tinylearn
model = tinylearn.load(recall=False)
"""
PLAN = """
def seconds(**more):
    return model.plan(ways=WAYS, shots=len(LABELS) // WAYS, **dict(OPTIONS, **more)).seconds
whole = seconds()
print([whole, seconds(steps=OPTIONS["steps"] + 1) - whole if "steps" in OPTIONS else 0])
"""
ADAPT = """
times = [time.ticks_ms()]
model.adapt(Samples(), on_step=lambda step, loss, accuracy: times.append(time.ticks_ms()), **OPTIONS)
times.append(time.ticks_ms())
taken = [time.ticks_diff(times[b], times[a]) / 1000 for a, b in ((0, -1), (1, 2 if len(times) > 3 else 1))]
print(taken)
"""


@click.command()
@click.option("--steps", default=5, show_default=True, help="where the network is trained")
@click.option("--shots", default=5, show_default=True)
@click.option("--method", default=",".join((*METHODS, *TAIL_METHODS)), show_default=True)
@click.option("--save", is_flag=True, help="put these figures among the committed ones")
def main(steps: int, shots: int, method: str, save: bool) -> None:
    support = digits.task(shots, 1, 1)[0]
    chosen = [i for i, y in enumerate(support.y) if y < TAIL_WAYS]
    os.environ["TINYLEARN_STATE"] = tempfile.mkdtemp()
    with boards.opened(BOARD) as port, connect(port, "mpremote") as link:
        flash.flash(link, flash.default_model(), trains=True, also=(flash.FILTER,))
        link.put("samples.bin", support.x[chosen].tobytes())
        print("                   host    plan()  adapt          step    plan()")
        for name in method.split(","):
            options = {"method": name}
            if name in TAIL_METHODS:
                options = {"method": name.split(":")[0], "budget": TAIL_BUDGET, **TAIL_METHODS[name], "steps": steps}
                options.update(head="prototype")
            row = {"name": name, "board": BOARD, "samples": len(chosen), "steps": options.get("steps", 0)}
            row["host"] = on_host(name, options, len(chosen))
            given = f"LABELS, WAYS, OPTIONS = {[int(support.y[i]) for i in chosen]}, {TAIL_WAYS}, {options}\n"
            row["plan"], row["plan_step"] = fresh(link, given + LOAD + SAMPLES + PLAN)
            row["seconds"], row["step"] = fresh(link, given + LOAD + SAMPLES + ADAPT)
            print(f"{name:14} {off(row, 'host'):>8}  {off(row, 'plan'):>8} {row['seconds']:6.1f} s", end="")
            print(f"   {row['step']:9.3f} s  {row['plan_step']:9.3f}" if name in TAIL_METHODS else "", flush=True)
            if save:
                key = {(known["name"], known["steps"]): known for known in [*results.load("forecast"), row]}
                results.save("forecast", list(key.values()))


def on_host(name: str, options: dict, samples: int) -> float | None:
    """Seconds by a Pico's cycles_per_mac; None for heads, of which the host knows nothing."""
    if name not in TAIL_METHODS:
        return None
    model = tlm.read(flash.default_model())
    task = training_report.Task(TAIL_WAYS, samples // TAIL_WAYS, options["budget"])
    asked = {key: value for key, value in options.items() if key not in ("method", "budget", "head")}
    return round(training_report.find(model, options["method"], task, boards.find(BOARD), **asked).fit.seconds, 3)


def off(row: dict, column: str) -> str:
    """How far a forecast is off."""
    return "" if row[column] is None else f"{row[column] / row['seconds'] - 1:+.0%}"


def fresh(link, program: str) -> list[float]:
    """What a program prints whose heap is in one piece."""
    link.soft_reset()
    return [round(seconds, 3) for seconds in ast.literal_eval(link.exec(program, 600))]


if __name__ == "__main__":
    main()
