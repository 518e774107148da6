"""The factors that forecasts are made with (firmware/tinylearn/tuning.py: BACK and so on), from the emulated Pico.

    benchmarks/forecast_factors.py

It adapts to five digits, with and without weights, in int8 and int16, with room for fast kernels, with less, and in the
least RAM that adapt says it takes, and times the backward of each operator there. BACK, BACK_INPUT and BACK_WEIGHTS are
what comes closest to fast kernels' seconds, as shares of the forward's (least squares); SLOWER and WIDER are what the
others take beside those. AROUND and PLANNING come from benchmarks/results/forecast.json, made with the factors as they
are: how much longer steps took than forecast, and all before the first.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

import results
from board_samples import SAMPLES
from tinylearn_host import boards, digits, flash, simulator
from tinylearn_host.learning import arithmetic
from tinylearn_host.tlm import read
from tinylearn_host.transport import connect

BOARD, WAYS = "pico-emulated", 5
LEAST = 1  # as a budget: it is refused, and the sentence says what the least would take
CASES = (
    {"method": "bias", "layers": 5, "budget": 64_000},
    {"method": "full", "layers": 2, "budget": 48_000},
    {"method": "full", "layers": 5, "budget": 46_000},
    {"method": "full", "layers": 1, "budget": LEAST},
    {"method": "full", "layers": 1, "budget": 48_000, "width": 16},
)
MEASURE = """
import time
import tinylearn
from tinylearn.model import brought
from tinylearn.plan import operator_seconds
model = tinylearn.load(recall=False)
forward = operator_seconds(model)
brought("teaching").training()
training = brought("training")
bring, times = training.gradients, {}

class Timed:
    def __init__(self, module):
        self.module, self.rates, self.head_loss = module, module.rates, module.head_loss

    def backward(self, file, arena, places, records, state, own):
        for at in range(0, len(records), 16):
            record, start = records[at : at + 16], time.ticks_us()
            status = self.module.backward(file, arena, places, record, state, own)
            taken = time.ticks_diff(time.ticks_us(), start)
            if status:
                return status
            key = record[0], record[1], record[7]
            times[key] = times.get(key, 0) + taken
        return 0

training.gradients = lambda name: Timed(bring(name))
try:
    model.adapt(Samples(), steps=1, views=1, head="prototype", **OPTIONS)
    print([forward, times])
except MemoryError as e:
    print([str(e)])
"""
WEIGHTS, INPUT = 1, 4  # of a record's flags


class Row(NamedTuple):
    """One operator's backward. wants_x, weights: which gradients it makes; width: bits of them; speed: of kernels;
    forward, seconds: of a sample."""

    wants_x: bool
    weights: bool
    width: int
    speed: int
    forward: float
    seconds: float


@click.command()
def main() -> None:
    simulator.on_path()
    now, rows = import_module("tinylearn.tuning"), measured()
    shares = back(row for row in rows if row.width == 8 and row.speed == 0)
    slower = [beside((row for row in rows if row.width == 8 and row.speed == s), shares) for s in range(3)]
    for name, value in zip(("BACK", "BACK_INPUT", "BACK_WEIGHTS"), shares, strict=True):
        print(f"{name:13} {value:6.2f}   now {getattr(now, name)}")
    print(f"SLOWER        {', '.join(f'{s:.2f}' for s in slower)}   now {now.SLOWER}")
    wider = beside((row for row in rows if row.width == 16 and row.speed == 0), shares)
    print(f"WIDER         {wider:6.2f}   now {now.WIDER}")
    known = [row for row in results.load("forecast") if row["steps"]]
    around = np.mean([(row["step"] - row["plan_step"]) / row["samples"] for row in known])
    late = [row["seconds"] - row["plan"] - row["steps"] * (row["step"] - row["plan_step"]) for row in known]
    for name, more in (("AROUND", around), ("PLANNING", np.mean(late))):
        cycles = getattr(now, name)
        print(f"{name:13} {cycles + more * boards.find(BOARD).clock_hz:6.3g}   now {cycles:.3g}")


def measured() -> list[Row]:
    """Of all cases, each in a fresh heap."""
    support = digits.task(5, 1, 1)[0]
    chosen = [i for i, y in enumerate(support.y) if y < WAYS]
    labels = [int(support.y[i]) for i in chosen]
    os.environ["TINYLEARN_STATE"] = tempfile.mkdtemp()
    with boards.opened(BOARD) as port, connect(port, "mpremote") as link:
        flash.flash(link, flash.default_model(), trains=True)
        link.put("samples.bin", support.x[chosen].tobytes())

        def adapted(options: dict) -> list:
            link.soft_reset()
            return ast.literal_eval(link.exec(f"LABELS, OPTIONS = {labels}, {options}\n{SAMPLES}{MEASURE}", 600))

        return [row for options in CASES for row in _rows(options, adapted, len(labels))]


def _rows(options: dict, adapted, count: int) -> Iterable[Row]:
    """What a board says that adapts so."""
    found = adapted(options)
    if options["budget"] == LEAST:
        found = adapted({**options, "budget": int(re.search(r"takes at least (\d+) bytes", found[0])[1])})
    forward, times = found
    sizes = _scratch(options)
    for (op, flags, scratch), microseconds in times.items():
        speed = sum(scratch < size for size in sizes.get(op, ())[:2])
        yield Row(
            bool(flags & INPUT),
            bool(flags & WEIGHTS),
            options.get("width", 8),
            speed,
            forward[op],
            microseconds / count / 1e6,
        )


def _scratch(options: dict) -> dict[int, list[int]]:
    """Bytes in which each operator's kernels are fast, somewhat slower, and plain."""
    tail = import_module("tinylearn.tail")
    model = arithmetic.in_place(read(flash.default_model()))
    flags = tail.BIAS if options["method"] == "bias" else tail.BIAS | tail.WEIGHTS
    choice = {op.index: tail.whole(flags & op.flags) for op in tail.trainable(model)[: options["layers"]]}
    blocks = tail.Tail(model, choice, options.get("width", 8)).blocks
    return {op: block.sizes for (kind, op), block in blocks.items() if kind == "scratch"}


def back(rows: Iterable[Row]) -> list[float]:
    """Seconds of the backward beside the forward's: of every operator, for a gradient to its input, to its weights."""
    rows = list(rows)
    parts = np.array([[row.forward, row.forward * row.wants_x, row.forward * row.weights] for row in rows])
    return list(np.linalg.lstsq(parts, np.array([row.seconds for row in rows]), rcond=None)[0])


def beside(rows: Iterable[Row], shares: list[float]) -> float:
    """How much longer gradients take than fast ones of int8."""
    rows = [row for row in rows if row.wants_x or row.weights]
    expected = sum(row.forward * (shares[1] * row.wants_x + shares[2] * row.weights) for row in rows)
    return sum(row.seconds - shares[0] * row.forward for row in rows) / expected


if __name__ == "__main__":
    main()
