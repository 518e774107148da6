"""The recipe, on wearers of its own and for a few steps. Needs the extra [train]: `make test-train`."""

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tinylearn_host import tlm
from tinylearn_host.simulator import Simulator

from models.emg import evaluate, gestures, recipe

REST, HOLD = 1000, 1000


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four wearers, two sessions, three gestures: noise, each electrode's strength by gesture and wearer."""
    random = np.random.default_rng(0)
    strength = random.uniform(2, 40, (3, 8))
    emg, label, facts = [], [], []
    for wearer in ("a", "b", "c", "d"):
        own = strength * random.uniform(0.7, 1.4, 8)
        for session in (1, 2):
            for gesture in range(3):
                held = np.tile(np.r_[np.zeros(REST), np.ones(HOLD)], 3) > 0
                level = np.where(held[:, None] & (gesture > 0), own[gesture] * 0.9**session, own[0])
                emg.append(np.clip(np.rint(random.normal(0, level)), -128, 127).astype(np.int8))
                label.append(np.where(held, gesture, 0).astype(np.uint8))
                facts.append((wearer, session, gesture))
    wearer, session, gesture = zip(*facts, strict=True)
    path = tmp_path_factory.mktemp("data") / "emg.npz"
    arrays = {"participant": np.array(wearer), "session": np.array(session), "gesture": np.array(gesture)}
    ends = np.cumsum([len(rows) for rows in emg])
    np.savez(path, emg=np.concatenate(emg), label=np.concatenate(label), end=ends, **arrays)
    return path


def test_the_recipe_makes_a_model_without_the_wearers_held_out(data, tmp_path):
    path = tmp_path / "emg.tlm"
    command = ["--data", str(data), "--steps", "3", "--hold-out-half", "--output", str(path)]
    result = CliRunner().invoke(recipe.main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert float(result.stdout.strip()) > 90  # such gestures are told apart by a network that has hardly begun
    model = tlm.read(path)
    assert len(model.raw) <= 60 * 1024 and model.front.values == 48 * 8
    assert Simulator(path).features(np.zeros((1, 12, 8), np.int8)).size == 96


def test_blocks_are_what_was_held(data):
    blocks = gestures.load(data)
    assert len(blocks) == 4 * 2 * 3 * 3
    first = blocks[0]
    assert (first.wearer, first.session, first.gesture) == ("a", 1, 0)
    assert first.frames.shape == ((1000 - gestures.REACTION - gestures.RELEASE) // 4, 8)


def test_an_episode_is_of_one_wearer_and_learns_from_one_block(data):
    source = gestures.Wearers(gestures.load(data), seed=1)
    drawn = source.episode(3, 5)
    assert drawn.shape == (3, 8, 12, 8)


def test_without_a_network_the_envelope_does_well(data):
    blocks = gestures.load(data)
    theirs, others = ([b for b in blocks if (b.wearer in "ab") is inside] for inside in (True, False))
    rows = dict(evaluate.table(theirs, evaluate.whitened(others), euclidean=True))
    assert rows["5 windows of each, the same session"].mean() > 90


def test_a_wearer_that_is_not_there(data, tmp_path):
    command = ["--data", str(data), "--hold-out-wearer", "zoe", "--output", str(tmp_path / "emg.tlm")]
    result = CliRunner().invoke(recipe.main, command)
    assert result.exit_code == 2 and "there is no wearer zoe" in result.output
