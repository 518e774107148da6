"""Counters count exactly, answers are really compared, and committed cycles hold."""

from __future__ import annotations

import json
from importlib import import_module
from unittest.mock import Mock

import pytest
import results
import run
from click.testing import CliRunner
from tinylearn_host import errors, paths, simulator, tlm
from tinylearn_host.bench import litert, workloads
from tinylearn_host.bench.measure import DATA, Meter
from tinylearn_host.cli import main

THUMB = """
import micropython
@micropython.asm_thumb
def spin(r0):
    label(again)
    sub(r0, r0, 1)
    bne(again)
"""
RISCV = """
import micropython
@micropython.asm_rv32
def spin(a0):
    label(again)
    addi(a0, a0, -1)
    bne(a0, zero, again)
"""
# A round of the loop: on the Cortex-M0+ a cycle and, for a taken branch, two; elsewhere two instructions.
ROUND = {"pico-emulated": 3, "qemu-m3": 2, "qemu-m4": 2, "qemu-rv32": 2}


LAP = """
def lap(rounds):
    measure.start()
    spin(rounds)
    return measure.stop(), 1
"""


@pytest.mark.parametrize("board", ROUND)
def test_counters_are_exact(board):
    with Meter.bare(board) as meter:
        meter.link.exec(meter.stopwatch())
        meter.link.exec((RISCV if "rv32" in board else THUMB) + LAP)
        once, again, more = (spin(meter, rounds) for rounds in (1000, 1000, 34567))
        assert once == again
        assert more - once == ROUND[board] * 33567
        _, *laps, longer = (spin(meter, rounds, "lap({})") for rounds in (1, 1000, 1000, 34567))
        assert laps[0] == laps[1]
        assert longer - laps[1] == ROUND[board] * 33567
        if board == "qemu-m3":  # once more than the register's 32 bits hold, where that takes seconds only
            assert spin(meter, 800_001_000) - once == ROUND[board] * 800_000_000


def spin(meter, rounds, call="measure(spin, {})"):
    return meter.value(meter.link.eval(call.format(rounds), timeout=60))


def test_committed_cycles_hold(capsys):
    """Fails when a kernel has become slower by 3 %, or its answer has changed; `make bench` commits new figures."""
    assert run.main(["--check", "--board", "pico-emulated", "--only", "L"]) == 0, capsys.readouterr().err


def test_a_worse_count_fails(tmp_path, monkeypatch, capsys):
    """As if L6 had been 4 % faster when it was committed."""
    rows = [row for row in results.load("pico-emulated") if row["name"] == "L6 forward"]
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    results.save("pico-emulated", [{**row, "cycles": round(row["cycles"] / 1.04)} for row in rows])
    assert run.main(["--check", "--board", "pico-emulated", "--only", "L6 f"]) == 1
    assert "L6 forward on pico-emulated" in capsys.readouterr().err


def test_what_is_interrupted_is_not_lost(tmp_path, monkeypatch):
    """Ctrl-C while the second workload is measured."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(litert, "run", Mock(side_effect=[(1.0, b""), (1.0, b""), KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        run.main(["--board", "sim", "--only", "L[56] f", "--save"])
    assert [row["name"] for row in results.load("sim") if row["seconds"] < 1] == ["L5 forward"]


def test_without_litert(monkeypatch):
    """A sentence says so, and the rest is measured."""
    monkeypatch.setattr(litert, "installed", lambda: False)
    result = CliRunner().invoke(main, ["bench", "--board", "sim", "--only", "L6 f", "--json"])
    assert result.exit_code == 0 and "pip install ai-edge-litert" in result.stderr
    assert [row["name"] for row in json.loads(result.stdout)] == ["L6 forward"]


def test_command():
    result = CliRunner().invoke(main, ["bench", "--board", "sim", "--only", "L6 f", "--json"])
    assert result.exit_code == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert set(rows) == {"L6 forward", "L6 forward, LiteRT reference", "L6 forward, LiteRT"}
    ours = rows["L6 forward"]
    assert ours["board"] == "sim" and ours["macs"] == 16384 and ours["exact"] is True
    assert ours["per_mac"] == pytest.approx(ours["seconds"] / ours["macs"], rel=2e-3)  # four digits of each
    assert rows["L6 forward, LiteRT reference"]["exact"] is True


def test_a_model_of_the_users_own():
    path = paths.MODELS / "emg" / "emg.tlm"
    result = CliRunner().invoke(main, ["bench", str(path), "--board", "sim", "--json"])
    assert result.exit_code == 0, result.stderr
    whole, *operators = json.loads(result.stdout)
    model = tlm.read(path)
    assert whole["name"] == "emg" and whole["macs"] == sum(op.macs for op in model.ops)
    assert [row["name"] for row in operators] == [f"emg {i} {op.name}" for i, op in enumerate(model.ops)]
    assert all(row["exact"] for row in operators)
    assert [row["per_mac"] is None for row in operators] == [op.macs == 0 for op in model.ops]


def test_a_model_that_is_not_there():
    result = CliRunner().invoke(main, ["bench", "nowhere.tlm", "--board", "sim"])
    assert result.exit_code == errors.BAD_MODEL and "cannot read nowhere.tlm" in result.stderr


ADAPT = [f"adapt {method}" for method in workloads.METHODS]


@pytest.fixture(scope="module")
def unix():
    with Meter.opened("unix") as meter:
        yield meter


@pytest.mark.parametrize(
    "name", ["L6 forward", "glyph", *ADAPT, "step last_layer", "step scheme", "step full:filter=2"]
)
def test_every_kind_of_workload(unix, name):
    [work] = workloads.choose(name)
    figure = unix.figures(work)[0]
    assert figure.name == name and figure.exact and figure.unit == "seconds"


def test_unknown_names_are_refused():
    result = CliRunner().invoke(main, ["bench", "--board", "sim", "--only", "L9"])
    assert result.exit_code == 2 and "L1 forward" in result.stderr


class Noise:
    """A link that damages one bit of the samples."""

    def __init__(self, link):
        self._link = link

    def put(self, path, data):
        self._link.put(path, bytes([data[0] ^ 64]) + data[1:] if path == DATA else data)

    def __getattr__(self, name):
        return getattr(self._link, name)


def test_a_wrong_answer_is_seen(unix):
    [work] = workloads.choose("L6 f")
    assert not Meter(unix.name, unix.counter, Noise(unix.link)).figures(work)[0].exact
    unix.clear()
    assert unix.link.size(DATA) is None


def test_every_method_is_measured():
    simulator.on_path()
    assert sorted(import_module("tinylearn.head").HEADS) == sorted(workloads.METHODS)
