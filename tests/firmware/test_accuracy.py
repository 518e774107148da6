"""What the shipped network can teach itself: handwritten digits, ten classes of five examples, on the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from tinylearn_host import digits, paths, simulator

simulator.on_path()
import tinylearn  # noqa: E402

EPISODES, QUERIES = 6, 10


@pytest.fixture(scope="module")
def accuracy() -> dict[str, np.ndarray]:
    """Accuracy per method and episode, the same tasks for each method."""
    model = tinylearn.load(str(paths.MODELS / "glyph" / "glyph.tlm"))
    found: dict[str, list[float]] = {"prototype": [], "euclidean": [], "last_layer": []}
    for episode in range(EPISODES):
        support, query = digits.task(shots=5, queries=QUERIES, seed=episode)
        taught = list(zip(support.x, support.y, strict=True))
        for name, options in (
            ("prototype", {}),
            ("euclidean", {"metric": "euclidean"}),
            ("last_layer", {"method": "last_layer"}),
        ):
            model.reset()
            model.adapt(taught, **options)
            right = [model.predict(x)[0] == label for x, label in zip(query.x, query.y, strict=True)]
            found[name].append(np.mean(right))
    return {name: np.array(values) for name, values in found.items()}


def test_prototypes_reach_the_reference(accuracy):
    """86.0 is what fp32 PyTorch reaches with nearest prototypes (10-way 5-shot)."""
    assert accuracy["prototype"].mean() > 0.90
    assert accuracy["euclidean"].mean() > 0.86


def test_training_the_last_layer_pays(accuracy):
    assert (accuracy["last_layer"] - accuracy["prototype"]).mean() > 0
