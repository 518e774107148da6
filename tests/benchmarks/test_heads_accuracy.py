"""The integer heads answer as the same methods in float64 do, and the closed form is worth its memory."""

from __future__ import annotations

import heads
import numpy as np
import pytest


@pytest.fixture(scope="module")
def rows():
    return {row["head"]: row for row in heads.measure("digits", list(heads.digit_episodes(5, episodes=10)), zero=-128)}


@pytest.mark.parametrize("head", heads.FLOAT)
def test_integers_cost_nothing(rows, head):
    assert abs(rows[head]["difference"]) <= 0.3


def test_the_closed_form_beats_prototypes(rows):
    assert rows["closed_form"]["int"] > rows["prototype"]["int"]
    assert rows["auto"]["int"] >= rows["prototype"]["int"]


def test_electrodes_are_logarithms_of_the_rms():
    """A doubled signal is 32 steps more; a block of 5 s less half a second gives windows of 48 samples every 24."""
    random = np.random.default_rng(1)
    emg = random.normal(0, 20, (900, 8)).round()
    quiet, loud = heads.electrodes(emg), heads.electrodes(2 * emg)
    assert quiet.shape == (36, 8)
    assert np.abs(loud.astype(int) - quiet - 32).max() <= 2
