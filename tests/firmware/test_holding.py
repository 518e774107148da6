"""What LightCL keeps before a task is trained: the held channels' maps as the network gives them, and their pull."""

from __future__ import annotations

import checks
import numpy as np
import pytest
import tinylearn
from tinylearn import continual

STRENGTH, SAMPLES = 2.5, 4


@pytest.mark.parametrize("in_place", [True, False])
def test_maps_and_pulls_are_those_of_the_network_before(small, monkeypatch, in_place):
    model, kept = tinylearn.load(str(small), recall=False), []
    model.in_place = in_place
    first, second = ([(x, k + shift) for x, k in checks.pictures(2, 3, seed)] for seed, shift in ((1, 0), (50, 2)))
    given = {"method": "full", "layers": 3, "steps": 2, "augment": False, "keep": False, "continual": "lightcl"}
    hold = {"samples": SAMPLES, "strength": STRENGTH, "share": 0.3}
    model.adapt(first, hold=hold, **given)
    maps = before(model, [x for x, _ in second])

    class Kept(continual.Hold):
        def __init__(self, training, strength):
            super().__init__(training, strength)
            layout, arena = training.layout, np.frombuffer(training.support.arena, np.int8)
            assert layout.samples == SAMPLES
            for op, t, channels, weight, offset, size in layout.pulls:
                at = [layout.references + i * layout.reference + offset for i in range(SAMPLES)]
                pull = np.frombuffer(arena[weight : weight + 4].tobytes(), np.int16).astype(int)
                kept.append((op, t, channels, [arena[a : a + size].copy() for a in at], pull))

    monkeypatch.setattr(continual, "Hold", Kept)
    held = {t: channels(bits) for t, bits in model.held.items()}
    model.adapt(second, hold=hold, **given)
    assert {t: list(on) for _, t, on, _, _ in kept if on} == held and kept[-1][2] is None  # all of the features
    for op, t, on, references, (mantissa, exponent) in kept:
        expected = [sample[op] if on is None else sample[op][:, list(on)] for sample in maps[:SAMPLES]]
        for found, wanted in zip(references, expected, strict=True):
            assert np.array_equal(found, wanted.reshape(-1))
        size = np.abs(np.array(expected) - model.tensor(t)[2]).mean()
        assert np.ldexp(mantissa, exponent) == pytest.approx(2 * STRENGTH / (expected[0].size * size**2), rel=2**-12)


def test_once_held_is_held_and_most_is_the_most(small):
    model = tinylearn.load(str(small), recall=False)
    given = {"method": "full", "layers": 3, "steps": 1, "keep": False, "continual": "lightcl"}
    before: dict = {}
    for task in range(4):
        samples = [(x, k) for x, k in checks.pictures(8, 2) if k // 2 == task]
        model.adapt(samples, hold={"share": 0.25, "most": 0.3}, **given)
        for t, bits in model.held.items():
            count = model.shape(t)[3]
            assert set(before.get(t, [])) <= set(channels(bits))
            assert len(before.get(t, [])) <= len(channels(bits)) <= most(count)
        before = {t: channels(bits) for t, bits in model.held.items()}
    assert any(len(on) == most(model.shape(t)[3]) for t, on in before.items())


def most(count: int) -> int:
    return int(0.3 * count + 0.5)


def channels(bits: bytes) -> list[int]:
    return np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")).tolist()


def before(model, samples: list) -> list[dict[int, np.ndarray]]:
    """{operator: its map, int8 [positions, channels]} of each sample, as the network is."""
    found = []
    for x in samples:
        model.take(x)
        found.append({})
        for op in range(model.first_of_head):
            model._run(op, op + 1)
            y = model.operator(op, "<H", 16)[0]
            raw = np.frombuffer(bytes(model.tensor(y)[0]), np.int8).astype(int)
            found[-1][op] = raw.reshape(-1, model.shape(y)[3])
    return found
