"""Task after task (LightCL) on an emulated Pico that is without power in between: what it knows, holds and pulls
towards is, bit for bit, that of the simulator, which never was. And while a save is cut, at any flash operation."""

from __future__ import annotations

from ast import literal_eval
from importlib import import_module
from pathlib import Path

import pytest
from boards.pico import Pico, started
from flash_model import PowerCut
from tinylearn_host import flash as flashing
from tinylearn_host import simulator
from tinylearn_host.transport import connect

from firmware import small_model

# One day: what is there, one more task, and what is there then. Days 0 and 1 bring new classes, day 2 the first ones
# again as they look somewhere else. Of each task told, too: the maps that it is pulled towards, and how hard.
PROGRAM = """
import tinylearn
from binascii import crc32
from tinylearn.training import Training
def bits(buffer):
    return crc32(bytes(buffer)) & 0xffffffff
def samples(day):
    for k in ((0, 1), (2, 3), (0, 1))[day]:
        for shot in range(3):
            yield bytes((i * (3 * k + 1) >> k & 3) * 60 + 9 * shot + 15 * day for i in range(64)), "class %d" % k
maps, sweep = [], Training.sweep
def telling(training):
    if training.hold and training.steps == 0:
        l, arena = training.layout, memoryview(training.support.arena)
        pulled = [(t, bits(arena[at:at + 4])) for _, t, _, at, _, _ in l.pulls]
        maps.extend([pulled, bits(arena[l.references:l.references + l.samples * l.reference])])
    return sweep(training)
def learn(model, day):
    model.adapt(list(samples(day)), "full", 3, layers=3, budget=24000, augment=dict(shift=1), continual="lightcl")
def known(model):
    h = model.head
    if not h:
        return None
    held = [(t, bytes(model.held[t])) for t in sorted(model.held)]
    weights = [(t, bits(model.tensor(t)[0])) for t in model.changed]
    patterns = [bits(model.features(x)) for x, _ in samples(0)]
    kept, said = model.memory and bits(model.memory[1]), model.explain().known()
    return h.labels, list(h.counts), list(h.owners), bits(h.w), bits(h.sums), held, weights, patterns, kept, said
"""
TOLD = "Training.sweep = telling\n"
DAY = PROGRAM + TOLD + "m = tinylearn.load()\nprint(repr(known(m)))\nlearn(m, {day})\nprint(repr((maps, known(m))))\n"
SAVE = "m.save()\nprint('saved')\n"
THERE = PROGRAM + "print(repr(known(tinylearn.load())))\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return small_model.write(tmp_path_factory.mktemp("model") / "model.tlm")


@pytest.fixture(scope="module")
def days(small) -> list:
    return history(small, PROGRAM)


def history(small: Path, program: str) -> list:
    """(maps that were pulled towards, what is known) after each day, on a simulator that runs all the while."""
    simulator.on_path()
    names: dict = {}
    exec(program, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names["Training"], "sweep", names["telling"])
        model, found = import_module("tinylearn").load(str(small), recall=False), []
        for day in range(3):
            names["maps"].clear()
            names["learn"](model, day)
            found.append((list(names["maps"]), names["known"](model)))
    return found


def test_tasks_are_tasks(days):
    """Else equal bits would say little: each holds more, pulls from the second on, and changes what is known."""
    assert [bool(maps) for maps, _ in days] == [False, True, True]
    held = [sum(bin(byte).count("1") for _, bits in known[5] for byte in bits) for _, known in days]
    assert 0 < held[0] < held[1]
    assert days[2][1][2] == [0, 1, 2, 3, 0, 1]  # the first classes have a second prototype each
    assert days[1][0] != days[2][0] and days[0][1][6:] != days[1][1][6:] != days[2][1][6:]


def test_on_a_pico(tmp_path, small, days):
    """Every task's save is followed by a power cut, and the second's is cut itself: then the first is whole, and the
    second is taught again."""
    known = [None, *(known for _, known in days)]
    with started(tmp_path / "pico") as pico, pico.control() as control:
        with connect(pico.port, "mpremote") as link:
            flashing.flash(link, small, trains=True)
        for day, cut in ((0, None), (1, (3, 0.5)), (1, None), (2, None)):
            found, ended = a_day(pico, control, day, cut)
            assert found == [known[day], days[day]], (day, cut)
            assert ended == (cut is None)
        assert literal_eval(pico.run(THERE)) == known[-1]


def a_day(board: Pico, control, day: int, cut: tuple[int, float] | None) -> tuple[list, bool]:
    """Teach a task and save it. The power goes then, or after so many flash operations and a part of one.

    (what was there before and after teaching, whether the save came to its end)
    """
    with board.running(DAY.format(day=day) + "input()\n" + SAVE) as link:
        link.serial.timeout = 60
        found = [literal_eval(link.serial.read_until(b"\n").decode().strip()) for _ in range(2)]
        if cut:
            control.cut(*cut)
        link.serial.write(b"\r")
        ended = False
        while control.status()["power"] and not ended:
            ended = bool(link.serial.inWaiting()) and b"saved" in link.serial.read_until(b"\n")
    control.reset()
    control.wait_until_up()
    return found, ended


@pytest.mark.boards("unix")
@pytest.mark.parametrize("how", ["lightcl", "replay"])
def test_on_boards_that_are_switched_off(board_pool, board_name, small, how):
    day_by_day, program = (text.replace("lightcl", how) for text in (DAY, PROGRAM))
    days = history(small, program)
    assert all(bool(known[8]) == (how == "replay") for _, known in days)
    with connect(board_pool.fresh_port(board_name), "mpremote") as link:
        flashing.flash(link, small, trains=True)
    before = None
    for day, expected in enumerate(days):
        with connect(board_pool.port(board_name), "mpremote") as link:
            link.soft_reset()
            found = link.exec(day_by_day.format(day=day) + SAVE).splitlines()
        assert [literal_eval(line) for line in found[:2]] == [before, expected], day
        board_pool.stop(board_name)
        before = expected[1]


def test_at_every_byte_of_the_second_save(flash, small, days):
    """The stand-in for the flash, on which no step is atomic: the first task or the second, and nothing between."""
    names: dict = {}
    exec(PROGRAM, names)
    load, learn, known = import_module("tinylearn").load, names["learn"], names["known"]
    flash.files["model.tlm"] = bytearray(small.read_bytes())
    learn(model := load("model.tlm"), 0)
    model.save()
    before = flash.copy()
    learn(model, 1)
    model.save()
    for cut in range(0, flash.done, 23):
        flash.restore(before, cut, overlay=False)
        with pytest.raises(PowerCut):
            model.save()
        flash.cut = None
        model = load("model.tlm")
        assert known(model) == days[0][1], cut
        learn(model, 1)
    model.save()
    assert known(load("model.tlm")) == days[1][1]
