"""From what an activation was on the calibration set to the range that its 256 steps cover.

The whole range wastes steps on values that occur once; a narrower one clips them. Which is better shows only in the
model's answer, so all are tried (search.py).
"""

from __future__ import annotations

import numpy as np

from tinylearn_host.quantizing.observe import Activation

Range = tuple[float, float]
NOTHING = 1e-6  # what an activation reaches at least: even one that was always 0 has a step


def whole(activation: Activation) -> Range:
    """All values (min-max)."""
    return activation.range


def percentile(activation: Activation, percent: float) -> Range:
    """The middle `percent` of the values, as much cut off on either side."""
    share = np.cumsum(activation.counts) / activation.counts.sum()
    cut = (100 - percent) / 200
    left = np.searchsorted(share, cut, side="right")
    right = np.searchsorted(share, 1 - cut)
    low, high = activation.range
    return max(low, float(activation.edges[left])), min(high, float(activation.edges[min(right + 1, len(share))]))


def least_error(activation: Activation, candidates: int = 16) -> Range:
    """The range with the smallest squared error of rounding and clipping together, each end tried on its own."""
    low, high = activation.range
    centres = (activation.edges[1:] + activation.edges[:-1]) / 2
    counts = activation.counts
    used = counts > 0
    centres, counts = centres[used], counts[used]
    shares = np.linspace(1 / candidates, 1, candidates)
    lows = low * shares if low < 0 else np.zeros(1)
    highs = high * shares if high > 0 else np.zeros(1)
    best = (np.inf, whole(activation))
    for a in lows:
        for b in highs:
            if b - a > 0:
                best = min(best, (_squared_error(centres, counts, a, b), (float(a), float(b))))
    return best[1]


def _squared_error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    scale = (high - low) / 255
    zero = np.rint(-128 - low / scale)
    steps = np.clip(np.rint(values / scale) + zero, -128, 127) - zero
    return float(np.sum(counts * (values - scale * steps) ** 2))


METHODS = {
    "min-max": whole,
    "percentile 99.99": lambda activation: percentile(activation, 99.99),
    "percentile 99.9": lambda activation: percentile(activation, 99.9),
    "least squared error": least_error,
}


def choose(seen: dict[str, Activation], method: str, keep: str) -> dict[str, Range]:
    """Ranges of all activations by one of METHODS; the activation `keep`, the model's input, has its whole range."""
    spans = {name: (whole if name == keep else METHODS[method])(activation) for name, activation in seen.items()}
    return {name: (min(low, 0.0), max(high, 0.0) or NOTHING) for name, (low, high) in spans.items()}
