"""Random graphs for what runs backward."""

from __future__ import annotations

import numpy as np
from tinylearn_host import ir


class Maker:
    """A graph of random operators whose outputs spread over the int8 range, so that a clamp stops some of them."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.tensors: dict[str, ir.Tensor] = {}
        self.ops: list[ir.Op] = []

    def activation(self, shape, like: str | None = None, spread: float = 1.0) -> str:
        name = f"a{len(self.tensors)}"
        scale, zero = float(np.float32(self.rng.uniform(0.01, 0.05) * spread)), int(self.rng.integers(-100, 100))
        if like is not None:
            scale, zero = self.tensors[like].scale, self.tensors[like].zero_point
        self.tensors[name] = ir.Tensor(name, tuple(map(int, shape)), np.int8, scale, zero)
        return name

    def op(self, code: str, inputs: list[str], shape, y: str | None = None, weights=(None, None), **attrs) -> str:
        y = y or self.activation(shape, inputs[0])
        self.ops.append(ir.Op(code, f"op{len(self.ops)}", inputs, y, *weights, attrs))
        return y

    def clamp(self) -> tuple[int, int]:
        return tuple(map(int, self.rng.choice([(-128, 127), (-30, 127), (-60, 50)])))

    def weights(self, x: str, shape, channels: int, taps: int) -> tuple[tuple[str, str], float]:
        """Their names, and the spread of y's scale that fits."""
        scale = self.rng.uniform(0.002, 0.02, channels).astype(np.float32)
        data = self.rng.integers(-90, 91, shape).astype(np.int8)
        bias = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        w, b = f"w{len(self.tensors)}", f"b{len(self.tensors)}"
        self.tensors[w] = ir.Tensor(w, data.shape, np.int8, scale, 0, data)
        self.tensors[b] = ir.Tensor(b, bias.shape, np.int32, scale * np.float32(self.tensors[x].scale), 0, bias)
        return (w, b), float(np.sqrt(taps) * 60 * scale.mean())

    def window(self, code, x, channels, kernel, stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0)) -> str:
        h, w, in_c = self.tensors[x].shape
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        out = [
            (n + before + after - span) // s + 1
            for n, before, after, span, s in zip((h, w), padding[:2], padding[2:], spans, stride, strict=True)
        ]
        if code in (ir.AVG_POOL, ir.MAX_POOL):
            y, weights = self.activation((*out, in_c), x), (None, None)
        else:
            shape = (1, *kernel, channels) if code == ir.DEPTHWISE_CONV2D else (channels, *kernel, in_c)
            taps = kernel[0] * kernel[1] * (1 if code == ir.DEPTHWISE_CONV2D else in_c)
            weights, spread = self.weights(x, shape, channels, taps)
            y = self.activation((*out, channels))
            self.tensors[y].scale = float(np.float32(self.tensors[x].scale * spread))
        attrs = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
        return self.op(code, [x], None, y, weights, clamp=self.clamp(), **attrs)

    def dense(self, x: str, channels: int) -> str:
        n = int(np.prod(self.tensors[x].shape))
        weights, spread = self.weights(x, (channels, n), channels, n)
        y = self.activation((channels,))
        self.tensors[y].scale = float(np.float32(self.tensors[x].scale * spread))
        return self.op(ir.FULLY_CONNECTED, [x], None, y, weights, clamp=self.clamp())

    def add(self, x: str, x2: str) -> str:
        return self.op(ir.ADD, [x, x2], None, self.activation(self.tensors[x].shape, spread=1.5), clamp=self.clamp())

    def graph(self, x: str) -> ir.Graph:
        return ir.Graph("tail", self.tensors, self.ops, x, self.ops[-1].output)


def network(seed: int) -> ir.Graph:
    """Every operator with a gradient, a residual, and two readers of one tensor."""
    maker = Maker(seed)
    same = {"padding": (1, 1, 1, 1)}
    x = maker.activation((9, 8, 3))
    a = maker.window(ir.CONV2D, x, 8, (3, 3), **same)
    b = maker.window(ir.DEPTHWISE_CONV2D, a, 8, (3, 3), **same)
    b = maker.window(ir.CONV2D, b, 8, (1, 1))
    c = maker.add(a, b)
    d = maker.window(ir.MAX_POOL, c, 8, (2, 2), (2, 2))
    shape = maker.tensors[d].shape
    d = maker.op(
        ir.PAD, [d], (shape[0] + 1, *shape[1:]), before=(1, 0, 0), after=(0, 0, 0), value=maker.tensors[d].zero_point
    )
    e = maker.window(ir.DEPTHWISE_CONV2D, d, 16, (3, 3), (2, 1), **same)
    e = maker.op(ir.CLAMP, [e], None, maker.activation(maker.tensors[e].shape, e), clamp=(-100, 100), ratio=1.0)
    f = maker.window(ir.AVG_POOL, e, 16, (2, 2))
    f = maker.window(ir.CONV2D, f, 12, (1, 1))
    g = maker.op(ir.MEAN, [f], None, maker.activation((12,), f))
    g = maker.op(ir.RESHAPE, [g], (1, 1, 12))
    maker.dense(g, 6)
    return maker.graph(x)
