"""The odd shapes that are measured beside clean ones."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import profile_parts
import results
import shapes
import table
from tinylearn_host.bench.measure import Meter


def groups(only: str = "") -> list[list[str]]:
    return [[work.name for work in group] for _, group in shapes._groups(only)]


def test_each_name_is_one_shape():
    names = [name for group in groups() for name in group]
    assert len(set(names)) == len(names) > 30


def test_a_clean_shape_comes_with_what_is_chosen():
    assert groups("depthwise 3x3 stride 2 *grad_weight") == [
        ["depthwise 3x3 14x14x32 grad_weight", "depthwise 3x3 stride 2 28x28x32 grad_weight"]
    ]


def test_rows_are_measured_against_the_first():
    with Meter.opened("sim") as meter:
        ((empty, group),) = shapes._groups("dense 64->10")
        rows = list(shapes._measure(meter, empty, group))
    assert [row["name"] for row in rows] == ["dense 256->64", "dense 64->10"]
    assert {row["beside"] for row in rows} == {"dense 256->64"} and rows[0]["times"] == 1
    assert all(row["exact"] for row in rows)


def test_windows_that_are_no_squares_are_named_by_both_sides():
    assert ["depthwise 3x3 14x14x32", "depthwise 1x3 1x40x32"] in groups("depthwise 1x3")
    assert ["conv 3x3 16x16x8->16", "conv 10x4 stride 2 49x10x1->64"] in groups("conv 10x4")


def test_what_is_steep_is_named():
    row = {"beside": "s1", "macs": 1, "per_mac": 1.0, "empty": 1}
    rows = [row | {"name": f"s{times}", "times": times, "times_beyond": 1 + times / 2} for times in (1, 1.9, 2.1)]
    rows.append(rows[2] | {"name": "trained", "times_without_steps": 1.5})
    assert table._steep(rows) == "More than 2 times: s2.1, trained. Beyond: s2.1, trained. Without steps: s2.1."
    assert table._steep(rows[:2]) == "More than 2 times: none. Beyond: none. Without steps: none."
    assert table._shapes(rows).count("**s1**") == 1


def test_what_is_steep_on_any_board_has_a_column_for_each():
    def rows(*times):
        return [{"name": f"s{i}", "times_beyond": time} for i, time in enumerate(times)]

    lines = table._cliffs({"one": rows(1, 1.5, 2.1), "two": rows(1, 3, 1.2), "three": rows(1)}).splitlines()
    assert lines[0] == "|  | one | two | three |"
    assert lines[2:] == ["| s1 | 1.50 | 3.00 |  |", "| s2 | 2.10 | 1.20 |  |"]


def test_each_board_has_rows_of_its_own():
    assert results.of_board("shapes", "pico-emulated") == "shapes"
    assert results.of_board("shapes", "qemu-m4") == "shapes-qemu-m4"


def test_a_profile_tells_steps_from_products():
    counted = {"update.channel": 30, "elements.tl_top_bits": 10, "taps.near": 40, "taps.lane": 15, "tlm.tl_inside": 5}
    parts = profile_parts.parts(Counter(counted), profile_parts.LAYER)
    assert parts == {"record": 5, "set-up": 15, "products": 40, "exponents and narrowing": 10, "steps": 30}
    row = {"name": "s", "beside": "clean", "macs": 10, "cycles": 100, "empty": 20, "parts": parts}
    assert shapes._without_steps(row) == 4
    assert table._steep_parts([row]).splitlines()[-1] == "| s | 100 | 5 | 15 | 40 | 0 | 10 | 30 | 0 |"


def test_measured_rows_take_the_place_of_those_with_their_names():
    before = [{"name": "a", "v": 1}, {"name": "a", "v": 2}, {"name": "b", "v": 3}]
    after = [{"name": "a", "v": 4}, {"name": "c", "v": 5}]
    assert [row["v"] for row in results.replaced(before, after)] == [4, 3, 5]
