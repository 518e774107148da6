"""The layers that kernels are compared on, each a model of one operator with weights of the whole int8 range."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tinylearn_host import ir

X_ZERO, Y_ZERO = -5, 7
SPREAD = 50  # standard deviation of the outputs, so that a few saturate


@dataclass(frozen=True)
class Layer:
    """name, code, x (h, w, c), output channels, side of the kernel or (height, width), stride; padding is TensorFlow's
    SAME."""

    name: str
    code: str
    x: tuple[int, int, int]
    channels: int
    side: int | tuple[int, int] = 1
    stride: int = 1

    @property
    def kernel(self) -> tuple[int, int]:
        return self.side if isinstance(self.side, tuple) else (self.side, self.side)


LAYERS = (
    Layer("L1 forward", ir.CONV2D, (16, 16, 8), 16, side=3),
    Layer("L2 forward", ir.CONV2D, (28, 28, 1), 16, side=3, stride=2),
    Layer("L3 forward", ir.DEPTHWISE_CONV2D, (14, 14, 32), 32, side=3),
    Layer("L4 forward", ir.CONV2D, (14, 14, 32), 64),
    Layer("L5 forward", ir.CONV2D, (7, 7, 64), 128),
    Layer("L6 forward", ir.FULLY_CONNECTED, (1, 1, 256), 64),
    Layer("L7 forward", ir.DEPTHWISE_CONV2D, (28, 28, 32), 32, side=3, stride=2),
    Layer("L8 forward", ir.DEPTHWISE_CONV2D, (14, 14, 32), 32, side=5),
)


def graph(layer: Layer) -> ir.Graph:
    """The layer as a model; the same in every run. Weights in [-127, 127], one scale per output channel, a bias."""
    random = np.random.default_rng(zlib.crc32(layer.name.encode()))
    shape, terms = _weights(layer)
    x_scale = np.float32(0.02)
    w_scales = random.uniform(0.002, 0.004, layer.channels).astype(np.float32)
    y_scale = np.float32(x_scale * 0.003 * 74 * 73 * np.sqrt(terms) / SPREAD)  # 74, 73: deviations of x and w
    tensors = [
        ir.Tensor("x", layer.x, scale=float(x_scale), zero_point=X_ZERO),
        ir.Tensor("w", shape, scale=w_scales, data=random.integers(-127, 128, shape).astype(np.int8)),
        ir.Tensor("b", (layer.channels,), np.int32, x_scale * w_scales, data=_biases(random, layer.channels)),
        ir.Tensor("y", _output(layer), scale=float(y_scale), zero_point=Y_ZERO),
    ]
    op = ir.Op(layer.code, layer.name, ["x"], "y", "w", "b", _attrs(layer))
    return ir.Graph(layer.name, {t.name: t for t in tensors}, [op], "x", "y")


def sample(layer: Layer) -> np.ndarray:
    """int8 in the shape of the layer's input; the same in every run."""
    return (
        np.random.default_rng(zlib.crc32(b"x of " + layer.name.encode())).integers(-128, 128, layer.x).astype(np.int8)
    )


def _biases(random: np.random.Generator, n: int) -> np.ndarray:
    return random.integers(-2048, 2048, n).astype(np.int32)


def _weights(layer: Layer) -> tuple[tuple[int, ...], int]:
    """Shape of the weights, and how many products one output sums."""
    (k_h, k_w), inputs = layer.kernel, layer.x[2]
    if layer.code == ir.FULLY_CONNECTED:
        return (layer.channels, inputs), inputs
    if layer.code == ir.DEPTHWISE_CONV2D:
        return (1, k_h, k_w, layer.channels), k_h * k_w
    return (layer.channels, k_h, k_w, inputs), k_h * k_w * inputs


def _output(layer: Layer) -> tuple[int, int, int]:
    h, w, _ = layer.x
    return -(-h // layer.stride), -(-w // layer.stride), layer.channels


def _attrs(layer: Layer) -> dict:
    attrs = {"clamp": (-128, 127)}
    if layer.code != ir.FULLY_CONNECTED:
        (top, bottom), (left, right) = (ir.same_padding(layer.x[i], layer.kernel[i], layer.stride) for i in range(2))
        attrs |= {"stride": (layer.stride, layer.stride), "dilation": (1, 1), "padding": (top, left, bottom, right)}
    return attrs
