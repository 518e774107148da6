"""Saves on an emulated Pico, killed at flash operation after flash operation; used by test_pico.py and tests/soak."""

from __future__ import annotations

import random
from ast import literal_eval
from importlib import import_module
from pathlib import Path

from boards.pico import Pico
from tinylearn_host import flash, simulator
from tinylearn_host.transport import connect

# Runs after every power-on: what is there, then one more save. The power goes somewhere in it.
PROGRAM = """
import tinylearn
from binascii import crc32
def state(model):
    h = model.head
    return h and (h.labels, list(h.counts), crc32(h.w), crc32(h.b), crc32(h.sums))
def samples(size, version):
    for k in range(2 + version % 4):
        for shot in range(2):
            yield bytes((i * (k + 3) * (version + 2) + 7 * shot) & 255 for i in range(size)), "c%d" % k if k % 2 else k
def teach(model, version):
    model.head = None
    model.adapt(samples(len(model.x), version), "prototype")
    return model
"""
RUN = PROGRAM + "m = tinylearn.load()\nprint(repr(state(m)))\nteach(m, {version})\nm.save()\nprint('saved')\n"


def expected(model: Path, versions: int) -> list:
    """The state of each version, as the simulator has it; the first is that of a model without a save."""
    simulator.on_path()
    tinylearn, names = import_module("tinylearn"), {}
    exec(PROGRAM, names)
    m = tinylearn.load(str(model), recall=False)
    return [None, *(names["state"](names["teach"](m, version)) for version in range(1, versions))]


def sweep(state: Path, model: Path, cuts: int, seed: int = 1, fractions=(0, 0.1, 0.5, 0.9, 1)) -> dict[str, int]:
    """Kill `cuts` saves, the first at its first flash operation, the next at its second ...; then again from the first.

    Raises AssertionError where anything but the old or the new state is seen. Gives how often each was, and how many
    operations a save took at most.
    """
    states = expected(model, 64)
    chance = random.Random(seed)
    seen = {"old": 0, "new": 0, "most operations": 0, "saves that ended": 0}
    pico = Pico(state)
    try:
        with connect(pico.port) as board:
            flash.flash(board, model)
        version = after = 0  # the version on the flash; flash operations until the next cut
        with pico.control() as control:
            for _ in range(cuts):
                following = version % 63 + 1
                control.cut(after, chance.choice(fractions))
                found, ended = one_save(pico, control, following)
                assert found == states[version], f"{found} before a cut after {after} operations"
                seen["saves that ended"] += ended
                control.reset()
                control.wait_until_up()
                found = what_is_there(pico)
                assert found in (states[version], states[following]), f"{found} after a cut at operation {after}"
                assert not ended or found == states[following]
                seen["new" if found == states[following] else "old"] += 1
                version = following if found == states[following] else version
                seen["most operations"] = max(seen["most operations"], after)
                after = 0 if ended else after + 1
    finally:
        pico.kill()
    return seen


def one_save(pico: Pico, control, version: int) -> tuple[object, bool]:
    """(the state before, whether the save came to its end before the power went)."""
    found, ended = None, False
    with pico.repl() as link:
        link.exec_raw_no_follow(RUN.format(version=version))
        link.exit_raw_repl = lambda: None
        found = literal_eval(link.serial.read_until(b"\n").decode().strip())
        while control.status()["power"]:
            if link.serial.inWaiting() and b"saved" in link.serial.read_until(b"\n"):
                ended = True
                break
    return found, ended


def what_is_there(pico: Pico) -> object:
    return literal_eval(pico.run(PROGRAM + "print(repr(state(tinylearn.load())))").strip())
