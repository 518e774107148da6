"""The power goes on an emulated Pico: a sample of tests/soak, a save cut at one flash operation after the other; and
while the network is trained, with the samples on the flash."""

import hashlib

import pytest
from boards.pico import started
from sweep import PROGRAM, expected, sweep, what_is_there
from tinylearn_host import flash
from tinylearn_host.transport import connect

from firmware import small_model

pytestmark = pytest.mark.xdist_group("pico-emulated")  # which starts early: a group of few, long tests would end last


def test_old_or_new_at_every_flash_operation(tmp_path):
    """A save of the small model takes up to nine operations: each is cut, at some part of it, in two saves or more."""
    seen = sweep(tmp_path / "pico", small_model.write(tmp_path / "model.tlm"), cuts=24)
    assert seen["old"] >= 10
    assert seen["new"] >= 5
    assert seen["most operations"] >= 5
    assert seen["saves that ended"] >= 2  # so that every operation of a whole save was cut


TRAIN = """
m = tinylearn.load()
teach(m, 1).save()
m.adapt(list(samples(64, 3)), "full", 1000, cache="flash", on_step=lambda step, *_: print("step", step))
"""


def test_while_the_network_is_trained(tmp_path):
    """What was learned before is there, the model is whole, and the file of the samples does not stay."""
    small = small_model.write(tmp_path / "model.tlm")
    with started(tmp_path / "pico") as pico:
        with connect(pico.port, "mpremote") as link:
            flash.flash(link, small, trains=True)
        with pico.running(PROGRAM + TRAIN) as link:
            link.serial.timeout = 60
            assert link.serial.read_until(b"step 3").endswith(b"step 3")
        pico.kill()
    with started(tmp_path / "pico") as pico:
        assert "model.tlm.tmp" in pico.run("import os; print(os.listdir())")
        assert what_is_there(pico) == expected(small, 2)[1]
        assert "model.tlm.tmp" not in pico.run("import os; print(os.listdir())")
        with connect(pico.port, "mpremote") as link:
            assert link.hashes([flash.MODEL]) == [hashlib.sha256(small.read_bytes()).hexdigest()]
