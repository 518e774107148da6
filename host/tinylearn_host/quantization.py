"""Fixed-point parameters as the TFLite int8 specification derives them from scales: real multipliers to (int32, shift).

Where TFLite multiplies or divides in float32 before it goes to double, so do these: the last bit decides.
"""

from __future__ import annotations

import math

import numpy as np

NONE, RELU, RELU6, RELU_N1_TO_1 = "none", "relu", "relu6", "relu_n1_to_1"
_LIMITS = {NONE: (None, None), RELU: (0.0, None), RELU6: (0.0, 6.0), RELU_N1_TO_1: (-1.0, 1.0)}


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier * 2**(shift - 31) and multiplier in [2**30, 2**31); zero is (0, 0).

    Beyond 2**31, which no sound model reaches, it stays there.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 31:
        return (1 << 31) - 1, 31
    return multiplier, shift


ONCE = range(-10, 0)  # shifts: below them, too few bits of the multiplier would be left


def rounded_once(multiplier: int, shift: int) -> tuple[int, int]:
    """The same real number so that requantize() rounds once, where the difference shows; as fast kernels want it.

    Two roundings differ from one in about one value of 2^(1 - shift); a multiplier with a shift of 0 rounds once.
    """
    if shift not in ONCE:
        return multiplier, shift
    return 4 * round(multiplier * 2.0 ** (shift - 2)), 0


def activation_range(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """The int8 clamp (min, max) that does `activation` on an output of this scale and zero point."""

    def quantize(real: float) -> int:
        with np.errstate(over="ignore"):
            steps = float(np.clip(np.float32(real) / np.float32(scale), -1e9, 1e9))
        return zero_point + int(math.copysign(math.floor(abs(steps) + 0.5), steps))

    low, high = _LIMITS[activation]
    return (-128 if low is None else max(-128, quantize(low))), (127 if high is None else min(127, quantize(high)))


def convolution_multipliers(x_scale: float, w_scales: np.ndarray, y_scale: float) -> list[tuple[int, int]]:
    """One (multiplier, shift) per output channel."""
    return [quantize_multiplier(float(x_scale) * float(w) / float(y_scale)) for w in w_scales]


def dense_scales(x_scale: float, w_scales: np.ndarray, y_scale: float) -> np.ndarray:
    """float64, one per output channel: LiteRT's reference rescales dense layers in floating point."""
    return np.float64(x_scale) * w_scales.astype(np.float64) / np.float64(y_scale)


def add_parameters(x1_scale: float, x2_scale: float, y_scale: float) -> list[int]:
    """left shift, then (multiplier, shift) of x1, x2 and y."""
    left_shift = 20
    twice = 2.0 * max(float(x1_scale), float(x2_scale))
    reals = (x1_scale / twice, x2_scale / twice, twice / ((1 << left_shift) * float(y_scale)))
    return [left_shift, *(value for real in reals for value in quantize_multiplier(float(real)))]


def mean_parameters(x_scale: float, y_scale: float, n: int) -> list[int]:
    """(multiplier, shift) of a mean over n values: 1/n is folded in and the multiplier cut, as TFLite does."""
    multiplier, shift = quantize_multiplier(float(x_scale) / float(y_scale))
    fold = min(n.bit_length() - 1, 32, 31 + shift)
    return [(multiplier << fold) // n, shift - fold]


def softmax_parameters(x_scale: float, beta: float) -> list[int]:
    """(multiplier, shift) that take a difference of two inputs to beta * x_scale * difference in 26 fractional bits."""
    return list(quantize_multiplier(min(float(beta) * float(x_scale) * (1 << 26), (1 << 31) - 1.0)))
