"""Networks that people bring, trained on scikit-learn's digits: int8 costs at most half a point of accuracy.

Digits are enlarged to each network's own input, moved, and put under noise, so that nobody gets them all right.
A quarter of an hour on one core. `pytest tests/soak/test_trained_networks.py -s` shows the figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tinylearn_host
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

import networks

NOISE, SHIFT = 0.25, 1.0  # of full scale; pixels of the 8 x 8 digit
BATCH, TEACH = 32, 1297  # the rest of the digits is for validation
EPOCHS = {"mobilenet_v2": 4, "resnet8": 8, "ds_cnn": 25, "mcunet": 10, "cnn_1d": 30}
VIEWS = {"mobilenet_v2": 2}  # of each validation digit; 8 where nothing is said


def sized(images: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """float32 [n, *shape] of digits [n, 1, 8, 8]: each moved on its own, enlarged, and under noise of its own."""
    rows = (images.shape[2], shape[1]) if len(shape) == 2 else shape[1:]
    move = torch.eye(2, 3).repeat(len(images), 1, 1)
    move[:, :, 2] = (torch.rand(len(images), 2) - 0.5) * SHIFT / 4
    grid = F.affine_grid(move, [len(images), 1, *rows], align_corners=False)
    grown = F.grid_sample(images, grid, align_corners=False)
    grown = grown[:, 0] if len(shape) == 2 else grown.expand(-1, shape[0], -1, -1)
    coarse = torch.randn(len(images), 1, *images.shape[2:])
    noise = F.interpolate(coarse, size=grown.shape[-2:], mode="nearest")
    return grown + NOISE * (noise[:, 0] if len(shape) == 2 else noise)


def trained(name: str) -> tuple[torch.nn.Module, tuple[int, ...], torch.Tensor, torch.Tensor]:
    """(network, shape of a sample, digits [n, 1, 8, 8] in 0 .. 1, labels)"""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pixels, labels = load()
    options = {"classes": 10}
    net, sample = networks.NETWORKS[name](**options)
    shape = tuple(sample.shape[1:])
    steps = EPOCHS[name] * (TEACH // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(TEACH, (BATCH,))
        loss = F.cross_entropy(net(sized(pixels[chosen], shape)), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval(), shape, pixels, labels


def load() -> tuple[torch.Tensor, torch.Tensor]:
    """The 8 x 8 digits in 0 .. 1, shuffled by a seed."""
    from sklearn.datasets import load_digits

    order = np.random.default_rng(0).permutation(1797)
    bunch = load_digits()
    images = (bunch.images[order] / 16).astype(np.float32)
    return torch.from_numpy(images)[:, None], torch.from_numpy(bunch.target[order])


def views(name: str, pixels: torch.Tensor, labels: torch.Tensor, shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits that nobody was trained on, float32 [n, *shape], each several times; their labels."""
    count = VIEWS.get(name, 8)
    return torch.cat([sized(pixels[TEACH:], shape) for _ in range(count)]), labels[TEACH:].repeat(count)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_int8_costs_at_most_half_a_point(name):
    net, shape, pixels, labels = trained(name)
    torch.manual_seed(1)
    calibration = sized(pixels[:200], shape)
    shown, truth = views(name, pixels, labels, shape)
    result = tinylearn_host.quantize(net, calibration, validate=(shown, truth))
    real, right = result.validation.top1(truth.numpy())
    run = tinylearn_host.quantizing.Runner(result.qdq).outputs(calibration.numpy()[:50])
    y = result.graph.tensors[result.graph.output]
    apart = np.abs(np.rint((result.calibration.shown[:50] - run) / y.scale))
    print(f"{name}: float {100 * real:.2f} %, int8 {100 * right:.2f} %, {result.validation.sqnr:.1f} dB,", end=" ")
    print(f"from ONNX Runtime {apart.max():.0f} steps at most;", end=" ")
    print("; ".join(f"{t.what} {t.sqnr:.1f}{'' if t.kept else ' (not kept)'}" for t in result.tries))
    assert real > 0.7, "the network has not learned"
    assert real - right <= 0.005
    assert apart.max() <= 1
