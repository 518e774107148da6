"""Hundreds of power cuts in saves on the emulated Pico (make soak): what is seen is the old state or the new one."""

import pytest
from delta.sweep import sweep
from tinylearn_host import paths

from firmware import small_model


@pytest.mark.parametrize("seed", [2, 3])
def test_small_saves(tmp_path, seed):
    """One flash sector and its books: the sweep goes over the same operations many times, each time in another part."""
    seen = sweep(tmp_path / "pico", small_model.write(tmp_path / "model.tlm"), cuts=400, seed=seed)
    print(seen)
    assert seen["saves that ended"] >= 20


def test_saves_of_several_kilobytes(tmp_path):
    """What the glyph model learns: some twenty flash operations."""
    seen = sweep(tmp_path / "pico", paths.MODELS / "glyph" / "glyph.tlm", cuts=200)
    print(seen)
    assert seen["most operations"] >= 12
    assert seen["saves that ended"] >= 3
