"""The recipe, on drawings of its own and for a few steps. Needs the extra [train]: `make test-train`."""

import io
import itertools
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

import drawings
import recipe
from network import FEATURES, network
from tinylearn_host import tlm
from tinylearn_host.simulator import Simulator


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Forty characters of three strokes, each drawn twenty times by a shaking hand: uint8 [40, 20, 28, 28]."""
    random = np.random.default_rng(0)
    drawn = np.zeros((40, 20, 28, 28), np.uint8)
    for character in drawn:
        corners = random.uniform(5, 23, (4, 2))
        for take in character:
            path = corners + random.normal(0, 0.7, corners.shape)
            for a, b in itertools.pairwise(path):
                y, x = np.rint(np.linspace(a, b, 40)).astype(int).T.clip(0, 27)
                take[y, x] = 255
    return drawn


@pytest.fixture(scope="module")
def data(images, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "background.npz"
    np.savez(path, images=images, alphabet=np.repeat(["Here", "Greek"], 20))
    return path


def test_the_recipe_makes_a_model_that_runs(data, tmp_path):
    command = ["--data", str(data), "--steps", "6", "--hold-out", "--output", str(tmp_path)]
    result = CliRunner().invoke(recipe.main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert 10 <= float(result.stdout.strip()) <= 100
    assert "unseen characters 5-way 1-shot" in result.stderr
    simulator = Simulator(tmp_path / "glyph.tlm")
    assert simulator.run(np.zeros((28, 28, 1), np.int8)).size == FEATURES
    assert len(tlm.read(tmp_path / "glyph.tlm").raw) <= 60 * 1024


def test_the_same_seed_makes_the_same_network(images):
    def weights() -> list[torch.Tensor]:
        torch.manual_seed(3)
        torch.set_num_threads(1)
        return list(recipe.train(drawings.Drawings(images), 3).parameters())

    assert all((a == b).all() for a, b in zip(weights(), weights(), strict=True))


def test_training_brings_the_loss_down(images):
    torch.manual_seed(0)
    source = drawings.Drawings(images)

    def loss(net) -> float:
        torch.manual_seed(9)
        with torch.no_grad():
            tries = [recipe.episode_loss(net(drawings.redraw(*source.episode(20, 4))), 20, 2) for _ in range(5)]
        return float(torch.stack(tries).mean())

    assert loss(recipe.train(source, 40)) < 0.8 * loss(network().eval())


def test_redrawn_images_are_images(images):
    torch.manual_seed(1)
    source = drawings.Drawings(images)
    for _ in range(40):
        redrawn = drawings.redraw(*source.episode(16, 4))
        assert redrawn.shape == (64, 1, 28, 28)
        assert redrawn.min() >= 0 and redrawn.max() <= 1 and redrawn.isfinite().all()


def test_boxes_hold_the_ink():
    page = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    page[0, 0, 7:14, 0:28] = 255
    assert drawings._boxes(page)[0, 0].tolist() == [0.0, -0.25, 1.0, 0.25]


def test_omniglots_own_archive_is_read(images, tmp_path):
    path = tmp_path / "images_background.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, character in enumerate(images[:3], start=1):
            for take, drawing in enumerate(character, start=1):
                picture = io.BytesIO()
                Image.fromarray(255 - np.kron(drawing, np.ones((4, 4), np.uint8))).convert("1").save(picture, "png")
                archive.writestr(f"images_background/Greek/character{number:02}/{take:04}.png", picture.getvalue())
    read, alphabets = drawings.load(path)
    assert (read == images[:3]).all() and list(alphabets) == ["Greek"] * 3
