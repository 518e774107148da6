"""Thousands of steps of training on a board: the heap does not grow, and the weights are the simulator's."""

from __future__ import annotations

from binascii import crc32

import pytest
from tinylearn_host import flash, simulator, transport

from firmware import small_model

simulator.on_path()

PROGRAM = """
import gc
from array import array
import tinylearn
from tinylearn.support import Layout, Support
from tinylearn.tail import Tail, whole
from tinylearn.teaching import Task, _new_head
from tinylearn.training import Training


def ready(model, samples):
    fields = Tail(model, {1: whole(3), 2: whole(3)}).layout()
    fields.update({"count": len(samples), "views": 0, "cache": "ram", "augment": None, "rate": 0.001})
    fields["module"] = "tl_grad"
    support = Support(model, Layout(fields), 1)
    for i, (x, _) in enumerate(samples):
        model.take(x)
        support.add(i)
    task = Task(model, {})
    task.labels, task.owners = [0, 1], bytearray(range(2))
    return Training(support, _new_head(task, "cosine"), bytearray(k for _, k in samples), 1)


def run(training, steps):
    for _ in range(steps):
        training.step()
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
"""


SAMPLES = [(bytes((37 * i * (k + 2) + 11 * k) % 256 for i in range(64)), k) for k in range(2)]


STEPS = {"unix": 10_000, "qemu-m3": 1_000}  # as many in as much time


STRAY = 128  # bytes that a stray pointer may keep; a byte for each step would be more


@pytest.mark.boards(*STEPS)
def test_long_training(board_port, board_name, tmp_path):
    small, names, steps = small_model.write(tmp_path / "model.tlm"), {}, STEPS[board_name]
    exec(PROGRAM, names)
    here = names["ready"](names["tinylearn"].load(str(small), recall=False), SAMPLES)
    names["run"](here, steps)
    with transport.connect(board_port, "mpremote") as board:
        flash.flash(board, small)
        board.soft_reset()
        script = f"""
training = ready(tinylearn.load(recall=False), {SAMPLES!r})
first = run(training, 100)
print(run(training, {steps - 100}) - first)
from binascii import crc32
print([("%08x" % (crc32(bytes(w)) & 0xFFFFFFFF)) for w in training.weights])
"""
        grown, bits = board.exec(PROGRAM + script, timeout=600).split("\n")[:2]
    print(f"{board_name}: {steps} steps, the heap grows by {grown} bytes, weights {bits}")
    assert int(grown) <= STRAY
    assert bits == repr([f"{crc32(bytes(w)):08x}" for w in here.weights])
