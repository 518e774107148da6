"""Latent replay: which samples are kept, what of them, and when they are no good any more."""

from __future__ import annotations

from struct import unpack_from

import checks
import numpy as np
import pytest
import tinylearn
from tinylearn import replay

GIVEN = {"method": "full", "layers": 2, "steps": 2, "augment": False, "keep": False, "continual": "replay"}


def taught(small, tasks: int = 2, most: int = 4096, **options):
    """A model after some tasks of two classes, three samples of each; and the boundary of each sample, by the row."""
    model, seen = tinylearn.load(str(small), recall=False), {}
    for task in range(tasks):
        samples = [(x, k) for x, k in checks.pictures(8, 3) if k // 2 == task]
        for x, k in samples:
            model.take(x)
            model._run(0, 1)  # the convolution, which stays as it is
            seen.setdefault(k, []).append(bytes(model.tensor(model.operator(0, "<H", 16)[0])[0]))
        model.adapt(samples, hold={"bytes": most}, **{**GIVEN, **options})
    return model, seen


@pytest.mark.parametrize("cache", ["ram", "flash", "recompute"])
def test_what_the_frozen_operators_made_is_kept(small, cache):
    model, seen = taught(small, cache=cache)
    first, data = model.memory
    kept = [(row, bytes(record)) for row, record in replay.samples(model.memory)]
    assert first == 1 and unpack_from("<I", data)[0] == len(seen[0][0])
    assert sorted(kept) == sorted((k, record) for k in seen for record in seen[k])
    assert [row for row, _ in kept] == [0, 1, 2, 3] * 3


def test_no_more_than_there_is_room_for(small):
    record = 129
    for most, rows in ((4096, 12), (6 * record, 6), (record, 1), (record - 1, 0)):
        model, _ = taught(small, most=most)
        kept = [row for row, _ in replay.samples(model.memory)]
        assert kept == ([0, 1, 2, 3] * 3)[:rows]
        assert (model.memory is None) == (rows == 0)


def test_old_samples_keep_what_was_learned(small):
    """After the second task the first one's prototypes still fit the network: their samples trained with it."""
    right = {}
    for name, options in (("replay", {}), ("naive", {"continual": None, "hold": None, "more": "add"})):
        model, _ = taught(small, 1, rate=0.02, steps=20)
        second = [(x, k) for x, k in checks.pictures(8, 3) if k // 2 == 1]
        model.adapt(second, **{**GIVEN, "hold": {"bytes": 4096}, "rate": 0.02, "steps": 20, **options})
        asked = [(x, k) for x, k in checks.pictures(2, 10, seed=777)]
        right[name] = np.mean([model.predict(x)[1] * (model.predict(x)[0] == k) for x, k in asked])
    assert right["replay"] > right["naive"]


def test_forgetting_a_class_forgets_its_samples(small):
    model, seen = taught(small)
    model.forget(1)
    kept = [(row, bytes(record)) for row, record in replay.samples(model.memory)]
    assert model.labels == [0, 2, 3]
    assert sorted(kept) == sorted((row, record) for row, k in enumerate(model.labels) for record in seen[k])


def test_it_goes_where_earlier_layers_are_trained(small):
    model, _ = taught(small)
    samples = [(x, k) for x, k in checks.pictures(4, 3)]
    model.adapt(samples, method="full", layers=1, steps=1)
    assert model.memory
    model.adapt(samples, method="full", layers=3, steps=1)
    assert model.memory is None


def test_it_begins_where_it_began(small):
    """What is kept is what operator 1 reads: later layers can be trained with it, earlier ones are not."""
    model, _ = taught(small)
    trained, second = set(model.changed), list(checks.pictures(2, 2))
    weights = {t: bytes(model.tensor(t)[0]) for t in trained}
    model.adapt(second, **{**GIVEN, "layers": 1})
    last = set(model.operator(2, "<2H", 18))
    assert {t for t in trained if bytes(model.tensor(t)[0]) != weights[t]} == trained & last != trained
    assert model.memory[0] == model.explain().told.first == 1
    model.adapt(second, **{**GIVEN, "layers": 3})
    assert model.memory[0] == model.explain().told.first == 1


def test_a_scheme_of_earlier_layers_alone(small):
    model, _ = taught(small)
    settings = tinylearn.tuning.Settings(model, {"method": "scheme", "continual": "replay"})
    settings.freeze = model.first_of_head
    with pytest.raises(ValueError, match=f"scheme's layers lie before operator {settings.freeze}, where"):
        tinylearn.tuning.find(model, "scheme", 4, 4, settings)
