"""The committed models/glyph/glyph.tlm, in the simulator, which computes a board's very bits."""

import sys

import numpy as np
import pytest
from tinylearn_host import digits, paths, sizes, tlm
from tinylearn_host.simulator import Simulator

GLYPH = paths.ROOT / "models" / "glyph"
sys.path.insert(0, str(GLYPH))

import evaluate  # noqa: E402

EPISODES = {"way": 10, "shot": 5, "queries": 20, "episodes": 200, "seed": 11}


@pytest.fixture(scope="module")
def known() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features of scikit-learn's digits by the int8 file and by the float network it was made from, and labels."""
    pixels, labels = digits.load()
    return {name: evaluate.features_of(GLYPH / name)(pixels) for name in ("glyph.tlm", "glyph.onnx")}, labels


def test_digits_ten_way_five_shot(known):
    features, labels = known
    results = evaluate.accuracies(features["glyph.tlm"], labels, **EPISODES)
    assert results.mean() - evaluate.interval(results) > 92, f"{results.mean():.1f} +- {evaluate.interval(results):.1f}"


def test_integers_cost_at_most_a_third_of_a_point(known):
    features, labels = known
    loss = evaluate.accuracies(features["glyph.onnx"], labels, **EPISODES) - evaluate.accuracies(
        features["glyph.tlm"], labels, **EPISODES
    )
    assert loss.mean() <= 0.3


def test_features_use_their_range(known):
    """int8 features that saturate, or that use a few steps only, would cost accuracy on data unlike the digits."""
    features, _ = known
    assert np.abs(features["glyph.tlm"]).max(0).mean() > 25
    steps = features["glyph.tlm"] + _output(tlm.read(GLYPH / "glyph.tlm")).zero_point
    assert np.mean((steps == -128) | (steps == 127)) < 1e-3


def _output(model):
    return model.tensors[model.output]


def test_it_is_small():
    model = tlm.read(GLYPH / "glyph.tlm")
    assert len(model.raw) <= 60 * 1024
    assert model.arena <= 20_000
    assert sizes.macs(model) <= 1_500_000


def test_the_input_is_a_pixel_less_128():
    model = tlm.read(GLYPH / "glyph.tlm")
    x = model.tensors[model.input]
    assert (model.input_shape(), np.float32(x.scale), x.zero_point) == ((28, 28, 1), np.float32(1 / 255), -128)


def test_it_has_no_classifier_of_its_own():
    model = tlm.read(GLYPH / "glyph.tlm")
    assert (model.features, model.head) == (model.output, len(model.ops))


def test_episodes_are_the_same_for_the_same_seed():
    features, labels = np.random.default_rng(0).normal(size=(60, 8)), np.repeat(np.arange(6), 10)
    features += labels[:, None]
    same = [evaluate.accuracies(features, labels, way=5, shot=2, queries=3, episodes=20, seed=s) for s in (4, 4, 5)]
    assert (same[0] == same[1]).all() and (same[0] != same[2]).any()


def test_accuracy_of_separate_classes_is_total_and_of_noise_is_chance():
    labels = np.repeat(np.arange(6), 10)
    separate, noise = np.eye(6)[labels], np.random.default_rng(0).normal(size=(60, 16))
    assert evaluate.accuracies(separate, labels, way=5, shot=1, queries=5, episodes=20).mean() == 100
    assert abs(evaluate.accuracies(noise, labels, way=5, shot=1, queries=5, episodes=300).mean() - 20) < 5


def test_a_blank_and_a_full_page_run():
    simulator = Simulator(GLYPH / "glyph.tlm")
    answers = [simulator.run(np.full((28, 28, 1), value, np.int8)) for value in (-128, 127)]
    assert (answers[0] != answers[1]).any()
