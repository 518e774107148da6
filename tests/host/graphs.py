"""Graphs for tests: one with every operator, small enough to take apart byte by byte."""

from __future__ import annotations

import numpy as np
from tinylearn_host import ir

FULL = (-128, 127)


def every_operator(seed: int = 0) -> ir.Graph:
    """8 x 8 x 2 pixels through each operator once, to 5 classes."""
    g = _Maker(seed)
    x = g.activation("x", (8, 8, 2), 0.05, -3)
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1), "clamp": FULL}
    a = g.op(ir.CONV2D, [x], (8, 8, 4), weights=(4, 3, 3, 2), **window)
    b = g.op(ir.DEPTHWISE_CONV2D, [a], (8, 8, 4), weights=(1, 3, 3, 4), **window)
    c = g.op(ir.ADD, [a, b], (8, 8, 4), clamp=(-128, 100))
    d = g.op(ir.PAD, [c], (10, 9, 4), before=[1, 0, 0], after=[1, 1, 0], value=g.tensors[c].zero_point, like=c)
    pool = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0), "clamp": FULL}
    e = g.op(ir.MAX_POOL, [d], (5, 4, 4), like=d, **pool)
    f = g.op(ir.AVG_POOL, [e], (2, 2, 4), like=e, **pool)
    h = g.op(ir.CLAMP, [f], (2, 2, 4), clamp=(-20, 127), ratio=0.7)
    i = g.op(ir.MEAN, [h], (4,))
    j = g.op(ir.RESHAPE, [i], (1, 1, 4), like=i)
    k = g.op(ir.FULLY_CONNECTED, [j], (5,), weights=(5, 4), clamp=FULL)
    y = g.op(ir.SOFTMAX, [k], (5,), quantised=(1 / 256, -128), beta=1.0)
    return ir.Graph("every operator", g.tensors, g.ops, x, y, labels=[f"class {n}" for n in range(5)])


def signal(seed: int = 0, wide: bool = False) -> ir.Graph:
    """20 samples of 3 channels over time, a column, to 5 classes; `wide`: one window sees beyond the column."""
    g = _Maker(seed)
    x = g.activation("x", (20, 1, 3), 0.05, -3)
    a = g.op(ir.CONV2D, [x], (9, 1, 4), weights=(4, 5, 1, 3), **_window((2, 1), (2, 0, 0, 0), (1, 1)))
    if wide:
        b = g.op(ir.DEPTHWISE_CONV2D, [a], (9, 1, 4), weights=(1, 3, 3, 4), **_window((1, 1), (1, 1, 1, 1), (1, 1)))
    else:
        b = g.op(ir.DEPTHWISE_CONV2D, [a], (9, 1, 4), weights=(1, 3, 1, 4), **_window((1, 1), (2, 0, 2, 0), (2, 1)))
    c = g.op(ir.ADD, [a, b], (9, 1, 4), clamp=(-128, 100))
    d = g.op(ir.PAD, [c], (11, 1, 4), before=[1, 0, 0], after=[1, 0, 0], value=g.tensors[c].zero_point, like=c)
    e = g.op(ir.MAX_POOL, [d], (5, 1, 4), like=d, **_pool((2, 1), (0, 0, 0, 0)))
    f = g.op(ir.AVG_POOL, [e], (3, 1, 4), like=e, **_pool((2, 1), (0, 0, 1, 0)))
    h = g.op(ir.CLAMP, [f], (3, 1, 4), clamp=(-20, 127), ratio=0.7)
    y = g.op(ir.FULLY_CONNECTED, [h], (5,), weights=(5, 12), clamp=FULL)
    return ir.Graph("signal", g.tensors, g.ops, x, y)


def _window(stride, padding, dilation) -> dict:
    return {"stride": stride, "padding": padding, "dilation": dilation, "clamp": FULL}


def _pool(kernel, padding) -> dict:
    return {"kernel": kernel, "stride": kernel, "padding": padding, "clamp": FULL}


class _Maker:
    def __init__(self, seed: int):
        self.chance = np.random.default_rng(seed)
        self.tensors: dict[str, ir.Tensor] = {}
        self.ops: list[ir.Op] = []

    def activation(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> str:
        self.tensors[name] = ir.Tensor(name, shape, np.int8, scale, zero_point)
        return name

    def op(self, code: str, inputs: list[str], shape, weights=None, like=None, quantised=None, **attrs) -> str:
        """Append an operator; its output is quantised at random, as tensor `like`, or as given. Gives the output."""
        name = f"{code} {len(self.ops)}"
        scale, zero_point = quantised or (float(self.chance.uniform(0.02, 0.2)), int(self.chance.integers(-50, 50)))
        if like is not None:
            scale, zero_point = self.tensors[like].scale, self.tensors[like].zero_point
        output = self.activation(f"y of {name}", shape, scale, zero_point)
        names = self._weights(name, code, weights) if weights else (None, None)
        self.ops.append(ir.Op(code, name, inputs, output, *names, attrs))
        return output

    def _weights(self, name: str, code: str, shape: tuple[int, ...]) -> tuple[str, str]:
        channels = shape[3] if code == ir.DEPTHWISE_CONV2D else shape[0]
        w = self.chance.integers(-127, 128, shape).astype(np.int8)
        b = self.chance.integers(-3000, 3000, channels).astype(np.int32)
        scales = self.chance.uniform(0.002, 0.02, channels).astype(np.float32)
        self.tensors[f"w of {name}"] = ir.Tensor(f"w of {name}", shape, np.int8, scales, 0, w)
        self.tensors[f"b of {name}"] = ir.Tensor(f"b of {name}", (channels,), np.int32, scales, 0, b)
        return f"w of {name}", f"b of {name}"
