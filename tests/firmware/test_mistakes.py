"""mistakes.py on the simulator and on boards; and Ctrl-C over the serial port, wherever it meets a run."""

from __future__ import annotations

import time
from pathlib import Path

import mistakes
import pytest
from tinylearn_host import flash, transport

SOURCE = Path(mistakes.__file__).read_text()
FEW = {"unix": ["prototype", "bias", "tinytrain"], "qemu-m3": ["bias"]}  # the simulator does all of them


def told(name: str, small: Path, monkeypatch) -> list[str]:
    """What the simulator says."""
    lines: list[str] = []
    monkeypatch.setattr(mistakes, "print", lambda *words: lines.append(" ".join(map(str, words))), raising=False)
    monkeypatch.chdir(small.parent)
    mistakes.run(name)
    return lines


@pytest.mark.parametrize("name", list(mistakes.METHODS))
def test_simulator(name, small, monkeypatch):
    assert len(told(name, small, monkeypatch)) >= 2 + len(mistakes.WRONG)


@pytest.mark.boards(*FEW)
def test_board(board_port, board_name, small, monkeypatch):
    with transport.connect(board_port, "mpremote") as board:
        flash.flash(board, small, also=("tl_filter",))
        for name in FEW[board_name]:
            board.soft_reset()
            said = board.exec(f"{SOURCE}\nrun({name!r})\n", timeout=300)
            assert kinds(said.splitlines()) == kinds(told(name, small, monkeypatch))


def kinds(lines: list[str]) -> list[str]:
    """What is raised of what; Python's own words for an error of a type may differ."""
    return [" ".join(line.split()[:6]) for line in lines if line and line[0] != "#" and "tinylearn:" not in line]


TEACH = """
model = tinylearn.load("model.tlm", recall=False)
options = {"method": NAME, "steps": 2, "seed": 3, "augment": {"shift": 1}, "head": "prototype"}
options.update(METHODS[NAME])
model.adapt(GOOD, **options)
before = answers(model)
"""
LONG = """
ended = False
options["steps"] = 1000
print("begins")
model.adapt(GOOD * MANY, **options)
ended = True
"""
AFTER = """
assert not ended, "it was over before"
assert answers(model) == before, "not as before"
options["steps"] = 2
model.adapt(GOOD, **options)
before = answers(model)
print(model.labels)
"""


@pytest.mark.parametrize("name", ["bias", "tinytrain"])
@pytest.mark.boards("unix", "pico-emulated")
def test_ctrl_c(board_port, board_name, small, name):
    """Whatever it meets, planning, samples, a kernel or Python between two, the model answers as before."""
    with transport.connect(board_port, "mpremote") as board:
        flash.flash(board, small)
        board.soft_reset()
        many, waits = (400, (0.0, 0.2, 0.5, 0.9)) if board_name == "unix" else (5, (1.0, 4.0))
        board.exec(f"{SOURCE}\nNAME, MANY = {name!r}, {many}\n{TEACH}", timeout=120)
        for seconds in waits:
            with board.start(LONG) as program:
                assert next(program.lines(60)) == "begins"
                time.sleep(seconds)
            assert board.exec(AFTER, timeout=120).strip() == "[0, 1, 2]"
