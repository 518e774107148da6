"""The power goes at any byte of a save, a rollback or a reset: afterwards there is the old state or the new one."""

from __future__ import annotations

import flash_model
import pytest
import tinylearn
from firmware.checks import pictures

PATH = "model.tlm"


HEADS = {}


def teach(model, version: int) -> None:
    """What is learned is another thing with each version, and another number of classes."""
    if version not in HEADS:
        model.head = None
        samples = pictures(2 + version % 3, 2, seed=1000 * version)
        HEADS[version] = model.adapt(((x, f"class {k}" if k % 2 else k) for x, k in samples), "prototype").head
    model.head = HEADS[version]


def state(model):
    head = model.head
    return head and (head.labels, list(head.params), *map(bytes, (head.w, head.b, head.sums, head.counts)))


def saved(flash):
    return state(tinylearn.load(PATH))


def save(version: int) -> None:
    model = tinylearn.load(PATH)
    teach(model, version)
    model.save()


ACTIONS = {
    "save": lambda: save(9),
    "rollback": lambda: tinylearn.load(PATH).rollback(),
    "reset": lambda: tinylearn.load(PATH).reset(),
}


@pytest.mark.parametrize("overlay", [False, True], ids=["truncates", "overwrites"])
@pytest.mark.parametrize("saves", [0, 1, 2, 3])
@pytest.mark.parametrize("action", ACTIONS)
def test_old_or_new_at_every_byte(flash, models, action, saves, overlay):
    flash.files[PATH] = bytearray(models[0])
    for version in range(saves):
        save(version)
    if action != "save" and saves == 0:
        return
    before, old = flash.copy(), saved(flash)
    ACTIONS[action]()
    new, steps = saved(flash), flash.done
    assert new != old
    seen = set()
    for cut in range(steps):
        flash.restore(before, cut, overlay)
        with pytest.raises(flash_model.PowerCut):
            ACTIONS[action]()
        flash.cut = None
        found = saved(flash)
        assert found in (old, new), f"cut at {cut} of {steps}"
        seen.add(found == new)
        if cut % 37 == 0:  # and life goes on from there
            save(20)
            teach(model := tinylearn.load(PATH), 20)
            assert saved(flash) == state(model)
    assert False in seen


@pytest.mark.parametrize("saves", [0, 1, 2])
def test_old_or_new_in_nvm(flash, models, nvm, saves):
    """CircuitPython: the file system is read-only, so the halves of microcontroller.nvm are the slots."""
    flash.files[PATH] = bytearray(models[0])
    flash.readonly = True
    memory = nvm(4096)
    for version in range(saves):
        save(version)
    before, old = bytes(memory.content), saved(flash)
    save(9)
    new = saved(flash)
    assert new != old
    assert list(flash.files) == [PATH]
    changed = sum(a != b for a, b in zip(before, memory.content, strict=True))
    for cut in range(changed):
        memory.content[:], memory.cut = before, cut
        with pytest.raises(flash_model.PowerCut):
            save(9)
        memory.cut = None
        assert saved(flash) in (old, new)
    save(9)
    assert saved(flash) == new
    tinylearn.load(PATH).rollback()
    assert saved(flash) == old
