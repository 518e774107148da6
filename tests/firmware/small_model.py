"""A small int8 network with random weights, for tests: 8 x 8 x 1 pixels, 32 features, six named classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tinylearn_host import ir, partition, tlm
from tinylearn_host.training_sections import Entry, Scheme

LABELS = ["zero", "one", "two", "three", "four", "five"]


class _Builder:
    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.tensors = {"x": ir.Tensor("x", (8, 8, 1), scale=1 / 255, zero_point=-128)}
        self.ops: list[ir.Op] = []
        self.last = "x"

    def activation(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> None:
        self.tensors[name] = ir.Tensor(name, shape, scale=scale, zero_point=zero_point)

    def weighted(
        self, code: str, name: str, weights: tuple[int, ...], shape: tuple[int, ...], zero=-128, **attrs
    ) -> None:
        """An operator with random weights, its output's scale chosen so that values spread over the int8 range."""
        channels = shape[-1]
        scales = self.random.uniform(0.005, 0.01, channels).astype(np.float32)
        data = self.random.integers(-127, 128, weights).astype(np.int8)
        x = self.tensors[self.last]
        taps = data.size // channels
        spread = x.scale * 0.0075 * np.sqrt(taps) * 73 * 60
        self.tensors[f"{name}.w"] = ir.Tensor(f"{name}.w", weights, scale=scales, data=data)
        bias = self.random.integers(-2000, 2000, channels).astype(np.int32)
        self.tensors[f"{name}.b"] = ir.Tensor(f"{name}.b", (channels,), np.int32, data=bias)
        self.activation(name, shape, float(spread / 50), zero)
        self.ops.append(ir.Op(code, name, [self.last], name, f"{name}.w", f"{name}.b", {"clamp": (-128, 127), **attrs}))
        self.last = name


def graph(seed: int = 1, labels: list[str] | None = LABELS, head: bool = True, softmax: bool = False) -> ir.Graph:
    """head: with a classifier of six classes behind the features."""
    b = _Builder(seed)
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1)}
    b.weighted(ir.CONV2D, "conv", (8, 3, 3, 1), (4, 4, 8), **{**window, "stride": (2, 2)})
    b.weighted(ir.DEPTHWISE_CONV2D, "depthwise", (1, 3, 3, 8), (4, 4, 8), **window)
    b.weighted(ir.CONV2D, "pointwise", (32, 1, 1, 8), (4, 4, 32), **{**window, "padding": (0, 0, 0, 0)})
    b.activation("features", (32,), b.tensors["pointwise"].scale, -128)
    b.ops.append(ir.Op(ir.MEAN, "mean", [b.last], "features"))
    b.last = "features"
    if head:
        b.weighted(ir.FULLY_CONNECTED, "logits", (6, 32), (6,), zero=3)
    if softmax:
        b.activation("p", (6,), 1 / 256, -128)
        b.ops.append(ir.Op(ir.SOFTMAX, "softmax", [b.last], "p", attrs={"beta": 1.0}))
        b.last = "p"
    return ir.Graph("small", b.tensors, b.ops, "x", b.last, labels if head else None)


SCHEMES = [
    Scheme("large", 6000, 8, (Entry(0, 3, 1, 2, 4), Entry(1, 2), Entry(2, 3))),
    Scheme("small", 3000, 8, (Entry(1, 3, 0, 1, 5), Entry(2, 3, 0, 0, 4))),
]


def write(path: Path, **options) -> Path:
    """Ready to be trained, with two sparse update schemes."""
    model = partition.prepare(tlm.read(tlm.build(graph(**options))))
    path.write_bytes(partition.with_schemes(model, SCHEMES).raw)
    return path
