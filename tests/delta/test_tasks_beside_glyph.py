"""Three tasks, one after the other in one session, on an emulated Pico beside glyph: each finds room, and what is known
after it is, bit for bit, that of the simulator, which has all the RAM that it wants."""

from __future__ import annotations

from ast import literal_eval
from importlib import import_module

import pytest
from boards.pico import ROOT, started
from tinylearn_host import flash as flashing
from tinylearn_host import simulator
from tinylearn_host.transport import connect

GLYPH = ROOT / "models" / "glyph" / "glyph.tlm"
TASKS = 3

# Five classes of five samples each, made as they are asked for: a list of them would take 20 KB. One layer, where there
# is room for two or three, so that the board chooses what the simulator does.
PROGRAM = """
from binascii import crc32
class Samples:
    def __init__(self, task):
        self.task = task
    def __len__(self):
        return 25
    def __iter__(self):
        for i in range(25):
            k = 5 * self.task + i // 5
            row = bytes((j * (k + 3) >> (k & 3) & 3) * 60 + 9 * (i % 5) for j in range(98))
            yield row * 8, k
def bits(buffer):
    return crc32(bytes(buffer)) & 0xffffffff
def learn(model, task, how):
    hold = dict(samples=1) if how == "lightcl" else dict(bytes=8192)
    model.adapt(Samples(task), "full", 1, layers=1, views=1, continual=how, hold=hold)
def known(model):
    h, weights = model.head, []
    for t in model.changed:
        crc, values = 0, memoryview(model.tensor(t)[0])
        for at in range(0, len(values), 256):
            crc = crc32(values[at:at + 256], crc)
        weights.append((t, crc & 0xffffffff))
    held = [(t, bytes(model.held[t])) for t in sorted(model.held)]
    return h.labels, list(h.owners), bits(h.w), weights, held, model.memory and (model.memory[0], bits(model.memory[1]))
"""


def on_simulator(how: str) -> list:
    simulator.on_path()
    names: dict = {}
    exec(PROGRAM, names)
    model, found = import_module("tinylearn").load(str(GLYPH), recall=False), []
    for task in range(TASKS):
        names["learn"](model, task, how)
        found.append(names["known"](model))
    return found


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    with started(tmp_path_factory.mktemp("pico")) as pico:
        with connect(pico.port, "mpremote") as link:
            flashing.flash(link, GLYPH, trains=True)
        yield pico


@pytest.mark.parametrize("how", ["lightcl", "replay"])
def test_three_tasks_in_one_session(pico, how):
    expected = on_simulator(how)
    assert all(bool(held) == (how == "lightcl") and bool(memory) == (how == "replay") for *_, held, memory in expected)
    assert len({str(weights) for _, _, _, weights, _, _ in expected}) == TASKS
    with pico.repl() as link:
        run(link, "import tinylearn\nm = tinylearn.load(recall=False)\n" + PROGRAM)
        for task in range(TASKS):
            run(link, f"learn(m, {task}, {how!r})\nm.save()")
            assert literal_eval(run(link, "print(repr(known(m)))")) == expected[task], task


def run(link, code: str) -> str:
    """What it prints, however long it is silent before."""
    output, error = link.exec_raw(code, timeout=600)
    assert not error, error.decode()
    return output.decode()
