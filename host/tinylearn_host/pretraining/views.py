"""Views of pictures to train on, by domain: what may differ between one example of a class and another.

Each takes and gives a batch float32 [N, channels, h, w], of pictures 0 .. 1 or of signals about -1 .. 1, and draws from
torch's generator. What a board does while it trains is firmware/tinylearn/augment.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _each(batch: Tensor, low: float, high: float) -> Tensor:
    """A random number for each of them, [N, 1, 1, 1]."""
    return torch.empty(len(batch), 1, 1, 1).uniform_(low, high)


def image(batch: Tensor) -> Tensor:
    """Moved, turned, larger or smaller, bent a little; darker or brighter; with noise."""
    n = len(batch)
    size, squeeze = _each(batch, -0.18, 0.18).view(n).exp(), _each(batch, -0.12, 0.12).view(n).exp()
    angle, shear = 0.13 * torch.randn(n), _each(batch, -0.15, 0.15).view(n)
    moves = [_each(batch, -0.14, 0.14).view(n) for _ in range(2)]
    across = torch.stack([size / squeeze * angle.cos(), size / squeeze * (shear - angle.sin()), moves[0]], 1)
    down = torch.stack([size * squeeze * angle.sin(), size * squeeze * angle.cos(), moves[1]], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), batch.shape, align_corners=False)
    batch = F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    batch = batch * _each(batch, 0.75, 1.25) + _each(batch, -0.08, 0.08)
    return (batch + 0.02 * torch.randn_like(batch)).clamp(0, 1)


def spectrogram(batch: Tensor) -> Tensor:
    """Moved and stretched in time (rows) and pitch, tinted, with stripes cut out (SpecAugment, Park et al. 2019,
    arXiv 1904.08779)."""
    n, _, frames, bands = batch.shape
    maps = torch.zeros(n, 2, 3)
    for row, shift in ((0, 0.12), (1, 0.15)):  # bands, then time
        maps[:, row, row], maps[:, row, 2] = _each(batch, 0.9, 1.1).view(n), _each(batch, -shift, shift).view(n)
    batch = F.grid_sample(batch, F.affine_grid(maps, batch.shape, align_corners=False), align_corners=False)
    colour = torch.linspace(-1, 1, bands) * _each(batch, -0.15, 0.15) + _each(batch, -0.1, 0.05)
    colour = colour + F.interpolate(0.06 * torch.randn(n, 1, 5), bands, mode="linear")[:, :, None]
    batch = torch.where(batch > 0.02, batch + colour, batch)
    for axis, side in ((2, frames), (3, bands)):
        first, wide = torch.randint(side, (n, 1)), torch.randint(6, (n, 1))
        line = torch.arange(side)
        kept = (line < first) | (line >= first + wide)
        batch = batch * kept.view(n, 1, *((-1, 1) if axis == 2 else (1, -1)))
    return batch.clamp(0, 1)


def signal(batch: Tensor) -> Tensor:
    """Earlier or later, stronger or weaker, as a whole and in each channel; with noise."""
    n, channels, _, samples = batch.shape
    most = samples // 10
    padded = F.pad(batch, (most, most, 0, 0), mode="replicate")
    at = torch.randint(2 * most + 1, (n, 1)) + torch.arange(samples)
    batch = padded.gather(3, at[:, None, None, :].expand(n, channels, 1, samples))
    gains = (_each(batch, -0.2, 0.2) + 0.1 * torch.randn(n, channels, 1, 1)).exp()
    return batch * gains + 0.02 * torch.randn_like(batch)


VIEWS = {"image": image, "spectrogram": spectrogram, "signal": signal}
