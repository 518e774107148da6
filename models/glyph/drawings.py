"""Drawings to train on: Omniglot's background set, turned and mirrored into eight times as many classes, and redrawn in
styles that users' images have and Omniglot has not: bold, faint, blurred, pixelated, and filled like a silhouette."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 28
STYLES = {"plain": 0.25, "stroke": 0.30, "pixels": 0.20, "filled": 0.25}


def load(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """images uint8 [classes, 20, 28, 28] (ink = 255) and the alphabet of each class.

    From an .npz that holds just these, or from python/images_background.zip of github.com/brendenlake/omniglot.
    """
    if Path(path).suffix == ".npz":
        with np.load(path) as file:
            return file["images"], file["alphabet"]
    from PIL import Image

    characters: dict[str, list[np.ndarray]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".png")):
            drawing = Image.open(io.BytesIO(archive.read(name))).convert("L")
            small = 255 - np.asarray(drawing.resize((SIDE, SIDE), Image.Resampling.BOX))
            characters.setdefault(name.rsplit("/", 1)[0], []).append(small)
    return np.array(list(characters.values())), np.array([folder.split("/")[-2] for folder in characters])


class Drawings:
    """Classes to draw episodes from: every character; turned or mirrored it is another class."""

    def __init__(self, images: np.ndarray):
        upright = torch.from_numpy(images)
        forms = [torch.rot90(form, turns, (-2, -1)) for form in (upright, upright.flip(-1)) for turns in range(4)]
        self.images = torch.cat(forms)  # uint8 [classes * 8, 20, 28, 28]
        self.boxes = _boxes(self.images)

    def episode(self, way: int, each: int) -> tuple[Tensor, Tensor]:
        """`each` drawings of `way` classes, class after class: pixels 0..1 [way * each, 1, 28, 28] and their boxes."""
        return self.of(torch.randperm(len(self.images))[:way], each)

    def of(self, classes: Tensor, each: int) -> tuple[Tensor, Tensor]:
        """The same of these classes."""
        takes = torch.rand(len(classes), self.images.shape[1]).argsort(1)[:, :each]
        classes = classes[:, None]
        return self.images[classes, takes].flatten(0, 1)[:, None] / 255, self.boxes[classes, takes].flatten(0, 1)


def _boxes(images: Tensor) -> Tensor:
    """Where the ink is: [..., 4] centre x, y and half width, height, the image reaching from -1 to 1."""
    ink = images > 64
    corners = []
    for along in (-2, -1):  # ink in columns, then in rows
        line = ink.any(along).to(torch.uint8)
        corners.append((line.argmax(-1), SIDE - line.flip(-1).argmax(-1)))
    (left, right), (top, bottom) = corners
    return torch.stack([left + right - SIDE, top + bottom - SIDE, right - left, bottom - top], -1) / SIDE


def redraw(images: Tensor, boxes: Tensor) -> Tensor:
    """One episode's images, each moved and bent a little, all in one style drawn at random."""
    style = list(STYLES)[int(torch.multinomial(torch.tensor(list(STYLES.values())), 1))]
    images = _bend(images, boxes, fill_frame=_chance(0.15 if style == "plain" else 0.6)).clamp(0, 1)
    if style == "plain":
        return images
    if style == "filled":
        return _silhouette(images)
    images = _embolden(images, _one(0, 2.2) + _each(images, -0.4, 0.4))
    if style == "pixels":
        images = _pixelate(images)
    elif _chance(0.5):
        images = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), _each(images, 0, 1))
    images = images ** _each(images, -0.5, 0.5).exp() * _each(images, 0.5, 1)
    return (images + 0.04 * torch.randn_like(images)).clamp(0, 1) if _chance(0.2) else images


def _one(low: float, high: float) -> float:
    return float(torch.empty(()).uniform_(low, high))


def _each(images: Tensor, low: float, high: float) -> Tensor:
    """A random number for each image, [N, 1, 1, 1]."""
    return torch.empty(len(images), 1, 1, 1).uniform_(low, high)


def _chance(probability: float) -> bool:
    return _one(0, 1) < probability


def _bend(images: Tensor, boxes: Tensor, fill_frame: bool) -> Tensor:
    """A small affine map and a smooth wobble; the ink brought to fill most of the frame where `fill_frame`."""
    n = len(images)

    def draw(spread: float) -> Tensor:
        return torch.empty(n).uniform_(-spread, spread)

    if fill_frame:
        size = boxes[:, 2:].amax(1).clamp_min(0.15) / (_one(0.65, 1.0) * torch.empty(n).uniform_(0.9, 1.05))
        x, y, squeeze = boxes[:, 0], boxes[:, 1], draw(0.2).exp()
    else:
        size, x, y, squeeze = draw(0.2).exp(), 0.0, 0.0, draw(0.15).exp()
    wide, high, angle, shear = size / squeeze, size * squeeze, 0.13 * torch.randn(n), draw(0.2)
    across = torch.stack([wide * angle.cos(), wide * (shear - angle.sin()), x + draw(0.12)], 1)
    down = torch.stack([high * angle.sin(), high * angle.cos(), y + draw(0.12)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), images.shape, align_corners=False)
    wobble = F.interpolate(torch.randn(n, 2, 5, 5), (SIDE, SIDE), mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + _one(0, 0.09) * wobble.permute(0, 2, 3, 1), align_corners=False)


def _embolden(images: Tensor, pixels: Tensor) -> Tensor:
    """Strokes wider by `pixels` on each side, fractions included."""
    for done in range(3):
        images = torch.lerp(images, F.max_pool2d(images, 3, 1, 1), (pixels - done).clamp(0, 1))
    return images


def _silhouette(images: Tensor) -> Tensor:
    """Grey, shaded shapes: what lies between strokes in all four directions is filled, the strokes stay as seams."""
    images = _embolden(images, (_one(0, 2) + _each(images, -0.3, 0.3)).clamp_max(2))
    sides = [images.cummax(3)[0], images.flip(3).cummax(3)[0].flip(3)]
    sides += [images.cummax(2)[0], images.flip(2).cummax(2)[0].flip(2)]
    inside = torch.stack(sides).amin(0)
    grain = torch.rand(len(images), 1, *[int(torch.randint(2, 8, ()))] * 2)
    grain = F.interpolate(grain, (SIDE, SIDE), mode="bilinear", align_corners=True) - 0.5
    body = inside * (_each(images, 0.15, 0.95) + grain * _one(0, 0.6)).clamp(0.05, 1)
    images = (body + images * _each(images, -0.7, 0.7) * _one(0, 1)).clamp(0, 1)
    return F.avg_pool2d(images, 3, 1, 1, count_include_pad=False) if _chance(0.3) else images


def _pixelate(images: Tensor) -> Tensor:
    """As if scanned with 7 to 12 pixels a side and enlarged again."""
    small = F.adaptive_avg_pool2d(images, int(torch.randint(7, 13, ())))
    small = (small * _each(images, 1.0, 1.8)).clamp(0, 1)
    mode = ("nearest", "bilinear", "bicubic")[int(torch.randint(3, ()))]
    return F.interpolate(small, (SIDE, SIDE), mode=mode).clamp(0, 1)
