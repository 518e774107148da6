"""A sample of tests/soak: saves on the emulated Pico, its power cut at one flash operation after the other."""

from sweep import sweep

from firmware import small_model


def test_old_or_new_at_every_flash_operation(tmp_path):
    """A save of the small model takes up to nine operations: each is cut, at some part of it, in several saves."""
    seen = sweep(tmp_path / "pico", small_model.write(tmp_path / "model.tlm"), cuts=40)
    assert seen["old"] >= 10
    assert seen["new"] >= 5
    assert seen["most operations"] >= 5
    assert seen["saves that ended"] >= 2  # so that every operation of a whole save was cut
