"""Random operators that have fast kernels: the call of tl_infer.op, and what the plain kernel gives."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from tinylearn_host import quantization, simulator, variants

CONV2D, DEPTHWISE_CONV2D, FULLY_CONNECTED, ADD = 1, 2, 3, 7


@dataclass
class Call:
    """The arguments of tl_infer.op for one operator, as arrays; `variant` and `scratch` bytes are the fast one's.
    `start` is what its sums begin with, or an add's other input."""

    code: int
    geometry: list[int]
    x: np.ndarray
    w: np.ndarray | None
    b: np.ndarray | None
    requant: np.ndarray | None
    y_bytes: int
    variant: int
    scratch: int
    start: np.ndarray | None = field(default=None)

    def run(self, variant: int, start: np.ndarray | None = None, scratch: np.ndarray | None = None) -> np.ndarray:
        y = np.full(self.y_bytes, 85, np.int8)
        start = self.start if self.code == ADD else start
        params = np.array([self.code + 256 * variant, *self.geometry], np.int32)
        status = simulator.module().op(params, self.x, start, self.w, self.b, self.requant, y, scratch)
        assert status == 0, f"op says {status}: {self}"
        return y

    def record(self) -> bytes:
        params = np.array([self.code + 256 * self.variant, *self.geometry], np.int32)
        arrays = (params, self.x, self.start, self.w, self.b, self.requant, self.run(0))
        parts = [b"" if a is None else a.tobytes() for a in arrays]
        lengths = [len(part) for part in parts]
        body = struct.pack("<8I", *lengths, self.scratch) + b"".join(part + bytes(-len(part) % 4) for part in parts)
        return struct.pack("<I", len(body)) + body


def clamp(rng: np.random.Generator) -> list[int]:
    return [-128, 127] if rng.random() < 0.7 else sorted(int(v) for v in rng.integers(-128, 128, 2))


def weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    extreme = rng.random() < 0.15
    w = rng.choice([-127, 127], shape) if extreme else rng.integers(-127, 128, shape)
    return w.astype(np.int8)


def inputs(rng: np.random.Generator, n: int) -> np.ndarray:
    extreme = rng.random() < 0.15
    return (rng.choice([-128, 127], n) if extreme else rng.integers(-128, 128, n)).astype(np.int8)


def convolution(rng: np.random.Generator, depthwise: bool) -> Call:
    """Any window that fits an image of at most 12 x 12, with any part of the panels that its scratch could hold."""
    while True:
        k, s, d = (rng.choice(options, 2) for options in ([1, 2, 3, 3, 3, 4, 5], [1, 1, 1, 2, 3], [1, 1, 1, 2]))
        if rng.random() < 0.3:  # what networks are made of
            k, s, d = np.full(2, rng.choice([1, 3])), np.full(2, rng.choice([1, 2])), np.ones(2, int)
        if depthwise and rng.random() < 0.15:  # along rows
            k, s, d = np.array([1, 3]), np.ones(2, int), np.ones(2, int)
        reach = (k - 1) * d
        x = rng.integers(1, 13, 2)
        pad = rng.integers(0, reach + 1)
        after = rng.integers(0, reach + 1)
        if rng.random() < 0.5:
            pad = np.minimum(reach // 2, reach)
            after = reach - pad
        if rng.random() < 0.1:  # one pixel
            x, pad, after = reach + 1, np.zeros(2, int), np.zeros(2, int)
        y = (x + pad + after - reach - 1) // s + 1
        if (y >= 1).all() and ((y - 1) * s - pad < x).all():
            break
    in_c = int(rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 33]))
    out_c = in_c * int(rng.choice([1, 1, 1, 2, 3, 4, 6])) if depthwise else int(rng.integers(1, 22))
    products = int(k.prod()) * (1 if depthwise else in_c)
    w = weights(rng, (out_c, products))
    spread = int(rng.choice([1000, 20000, 1 << 21]))
    b = rng.integers(-spread, spread, out_c).astype(np.int32) if rng.random() < 0.9 else None
    zeros = [int(v) for v in rng.choice([-128, -5, 0, 7, 127], 2)]
    scale = 2.0 ** rng.uniform(-13 if rng.random() < 0.9 else -16, -4 if rng.random() < 0.9 else 1, out_c)
    pairs = [quantization.quantize_multiplier(float(r)) for r in scale]
    once = float(rng.choice([0, 0, 0.5, 1]))
    pairs = [quantization.rounded_once(*pair) if rng.random() < once else pair for pair in pairs]
    mult, shift = np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.int8)
    requant = np.frombuffer(mult.tobytes() + shift.tobytes(), np.int8).copy()
    shape_x, shape_y = (*map(int, x), in_c), (*map(int, y), out_c)
    windows = [[int(v) for v in pair] for pair in (k, s, d, pad)]
    geometry = [*shape_x, *shape_y, *(n for pair in windows for n in pair), *zeros, *clamp(rng)]
    g = variants.Window(shape_x, shape_y, *(tuple(pair) for pair in windows))
    small = variants.is_small(w.astype(np.int64), 0 if b is None else b.astype(np.int64), zeros[0], mult, shift)
    variant = variants.FAST_SMALL if small else variants.FAST
    if depthwise:
        without = rng.random() < (0.8 if small and variants.slides(g) else 0.3)  # which most processors need little of
        scratch = 0 if without else variants.depthwise_scratch(g)
        w = np.ascontiguousarray(w.T)  # HWC
    else:
        scratch = variants.conv2d_scratch(g, int(rng.integers(1, -(-out_c // 4) + 1)))
    code = DEPTHWISE_CONV2D if depthwise else CONV2D
    x_values = inputs(rng, int(np.prod(shape_x)))
    return Call(code, geometry, x_values, w.reshape(-1), b, requant, int(np.prod(shape_y)), variant, scratch)


def dense(rng: np.random.Generator) -> Call:
    n_in = int(rng.choice([rng.integers(1, 40), 64, 100, 130, 256, rng.integers(40, 300)]))
    n_out = int(rng.choice([4, 8, 12, *rng.integers(1, 20, 3)]))
    w = weights(rng, (n_out, n_in))
    b = rng.integers(-20000, 20000, n_out).astype(np.int32) if rng.random() < 0.9 else None
    x_zero, y_zero = (int(v) for v in rng.choice([-128, -5, 0, 7, 127], 2))
    scale = (2.0 ** rng.uniform(-16, -4, n_out)).astype("<f8").view(np.int8)
    start = ((0 if b is None else b) - x_zero * w.sum(axis=1, dtype=np.int64)).astype(np.int32)
    geometry = [n_in, n_out, x_zero, y_zero, *clamp(rng)]
    known = start if rng.random() < 0.6 else None
    if known is not None and n_in % 3:
        known = np.concatenate([start.view(np.uint32), variants.dense_panel(w)])
    x = inputs(rng, n_in)
    scratch = 4 * variants.fours(n_out)
    return Call(FULLY_CONNECTED, geometry, x, w.reshape(-1), b, scale, n_out, variants.FAST, scratch, known)


def add(rng: np.random.Generator) -> Call:
    """The Cortex-M0+ has its own, which has no variant. Now and then one scale is twice the other: a shift of 0."""
    n = int(rng.integers(1, 600))
    scales = 2.0 ** rng.uniform(-12, 4, 3)
    scales[2] = scales[:2].max() * 2.0 ** rng.uniform(-12, 8)
    if rng.random() < 0.3:
        scales[1] = scales[0]
    zeros = [int(v) for v in rng.choice([-128, -5, 0, 7, 127], 3)]
    geometry = [n, *zeros, *clamp(rng), *quantization.add_parameters(*map(float, scales))]
    return Call(ADD, geometry, inputs(rng, n), None, None, None, n, variants.PLAIN, 0, inputs(rng, n))


def calls(seed: int, count: int) -> list[Call]:
    rng = np.random.default_rng(seed)
    kinds = (partial(convolution, depthwise=False), partial(convolution, depthwise=True), dense, add)
    return [kinds[number % len(kinds)](rng) for number in range(count)]
