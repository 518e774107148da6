"""What counts as worse, and the document that is made from the committed figures."""

from __future__ import annotations

import results
import table

ROW = {"name": "L1 forward", "board": "pico-emulated", "macs": 100, "cycles": 1000, "per_mac": 10.0, "exact": True}


def test_three_per_cent_are_allowed():
    assert results.worse([ROW], [{**ROW, "cycles": 1030}]) == []
    assert results.worse([ROW], [{**ROW, "cycles": 500}]) == []
    [sentence] = results.worse([ROW], [{**ROW, "cycles": 1031}])
    assert "L1 forward" in sentence and "pico-emulated" in sentence and "+3.1%" in sentence


def test_what_is_missing_is_worse():
    [sentence] = results.worse([ROW], [{**ROW, "board": "unix"}])
    assert "not measured" in sentence


def test_seconds_are_never_compared():
    row = {key: value for key, value in ROW.items() if key != "cycles"}
    assert results.worse([{**row, "seconds": 1e-6}], [{**row, "seconds": 1.0}]) == []


def test_inexact_answers_are_named():
    wrong = {**ROW, "exact": False}
    [sentence] = results.inexact([ROW, wrong, {**wrong, "name": "L1 forward, LiteRT"}])
    assert "L1 forward on pico-emulated" in sentence


def test_rows_survive(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    assert results.load("pico-emulated") == []
    results.save("pico-emulated", [ROW, ROW])
    assert results.load("pico-emulated") == [ROW, ROW]


def test_committed_figures_are_exact():
    files = [path.stem for path in results.FOLDER.glob("*.json") if path.stem not in ("sizes", "profile", "forecast")]
    assert {"pico-emulated", "qemu-m3", "qemu-m4", "qemu-rv32", "unix"} <= set(files)
    for name in files:
        assert results.inexact(results.load(name)) == []


def test_the_document_is_current():
    assert table.TARGET.read_text() == table.text(), "run benchmarks/run.py --table"
