"""Panels that stay, measured."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import kept_panels
import table
from tinylearn_host.bench.measure import Meter


def test_more_room_keeps_more_panels_with_the_same_bits():
    with Meter.opened("sim") as meter:
        rows = list(kept_panels._measure(meter, "emg"))
    stay = [row["stay_bytes"] for row in rows]
    assert len(rows) > 2 and stay[0] == 0 and stay == sorted(set(stay)) and stay[-1] <= kept_panels.ROOMS[-1]
    assert all(row["exact"] for row in rows)


def test_a_row_says_what_is_saved_or_that_there_is_no_room():
    row = {"name": "emg", "board": "pico-emulated", "macs": 1, "stay_bytes": 0, "cycles": 4_000_000, "exact": True}
    more = row | {"stay_bytes": 4096, "cycles": 3_000_000}
    most = {"name": "emg", "board": "pico-emulated", "macs": 1, "stay_bytes": 9000}
    lines = table._panels([row, more, most]).splitlines()
    assert "25.0%" in lines[-2] and "4,096" in lines[-2] and "no RAM" in lines[-1] and "%" not in lines[-3]


def test_a_step_is_measured_without_and_with_a_panel_that_stays():
    with Meter.opened("sim") as meter:
        rows = list(kept_panels._measure_step(meter, "emg, step scheme"))
    assert [row["stay_bytes"] for row in rows] == [0, 21_216] and rows[0]["macs"] == rows[1]["macs"] > 0
    assert all(row["exact"] for row in rows)
