"""scikit-learn's handwritten digits as the glyph model takes them: the demo's classes, which it has never seen."""

from __future__ import annotations

import numpy as np

from tinylearn_host.samples import Samples

SIDE = 28


def load() -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [1797, 28, 28], ink bright, and labels int [1797]; the originals are 8 x 8 in 17 greys."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return enlarge(data.images * (255 / 16)), data.target


def enlarge(images: np.ndarray, side: int = SIDE) -> np.ndarray:
    """[N, h, w] to uint8 [N, side, side], bilinear between pixel centres."""
    for axis in (1, 2):
        size = images.shape[axis]
        at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
        low = np.minimum(at.astype(int), size - 2)
        weight = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        images = np.take(images, low, axis) * (1 - weight) + np.take(images, low + 1, axis) * weight
    return np.rint(images).clip(0, 255).astype(np.uint8)


def task(shots: int, queries: int, seed: int) -> tuple[Samples, Samples]:
    """`shots` examples of each digit to teach and `queries` others of each to ask about, drawn with `seed`."""
    pixels, labels = load()
    random = np.random.default_rng(seed)
    drawn = [random.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    support = np.concatenate([rows[:shots] for rows in drawn])
    query = random.permutation(np.concatenate([rows[shots : shots + queries] for rows in drawn]))
    rows = pixels.reshape(len(pixels), -1)
    return Samples(rows[support], labels[support].tolist()), Samples(rows[query], labels[query].tolist())
