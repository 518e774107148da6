"""One operator in one shape, twice: as a .tflite for LiteRT, and as the call of tl_infer.op that must give its bits.

Every function makes a `Case` from plain numbers, so that property tests and the golden vectors share them.
`factor` moves the output's scale: 1 spreads the answers over the int8 range, more squeezes them, less saturates them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from tinylearn_host import quantization, simulator
from tinylearn_host.bench.tflite_builder import Builder, reference

CONV2D, DEPTHWISE_CONV2D, FULLY_CONNECTED, AVG_POOL, MAX_POOL, MEAN, ADD, PAD, CLAMP, SOFTMAX, RESHAPE = range(1, 12)
ACTIVATIONS = {"NONE": "none", "RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "relu_n1_to_1"}


@dataclass
class Case:
    """model: a .tflite; xs: its inputs; params, w, b, requant: the rest of the call. y_shape without the batch."""

    name: str
    model: bytes
    xs: list[np.ndarray]
    params: list[int]
    y_bytes: int
    w: np.ndarray | None = None
    b: np.ndarray | None = None
    requant: bytes | None = None
    _expected: np.ndarray | None = field(default=None, repr=False)

    def expected(self) -> np.ndarray:
        """int8, flat: what LiteRT's reference kernels answer."""
        if self._expected is None:
            self._expected = reference(self.model, *self.xs).reshape(-1)
        return self._expected

    def buffers(self) -> list[np.ndarray | None]:
        """params, x, x2, w, b, requant as arrays at addresses of multiples of 4."""
        x2 = self.xs[1] if len(self.xs) > 1 else None
        requant = None if self.requant is None else np.frombuffer(self.requant, np.int8).copy()
        return [np.array(self.params, np.int32), self.xs[0], x2, self.w, self.b, requant]

    def actual(self) -> np.ndarray:
        """int8, flat: what tinylearn's kernels answer."""
        y = np.full(self.y_bytes, 85, np.int8)
        status = simulator.module().op(*self.buffers(), y, None)
        assert status == 0, f"op says {status % 256} about {status // 256}: {self.params}"
        return y

    def check(self) -> None:
        actual, expected = self.actual(), self.expected()
        assert actual.shape == expected.shape
        wrong = np.flatnonzero(actual != expected)
        assert wrong.size == 0, (
            f"{self.name}: {wrong.size} of {expected.size} differ, first at {wrong[0]}: "
            f"{actual[wrong[0]]} instead of {expected[wrong[0]]}, params {self.params}"
        )


def values(rng: np.random.Generator, shape: tuple[int, ...], kind: str = "random") -> np.ndarray:
    """int8 inputs or weights: random over all values, or all at one end."""
    if kind == "random":
        return rng.integers(-128, 128, shape).astype(np.int8)
    return np.full(shape, {"least": -128, "most": 127}[kind], np.int8)


def scales(rng: np.random.Generator, n: int | None = None) -> np.ndarray | float:
    """Scales (float32) as networks have them, spread over a factor of 30."""
    drawn = np.exp(rng.uniform(np.log(0.003), np.log(0.1), n)).astype(np.float32)
    return float(drawn) if n is None else drawn


def same_padding(size: int, k: int, stride: int, dilation: int) -> tuple[int, int]:
    """(output size, padding before) along one axis, as TFLite computes SAME."""
    out = -(-size // stride)
    return out, max((out - 1) * stride + (k - 1) * dilation + 1 - size, 0) // 2


def window(shape, kernel, stride, dilation, padding) -> tuple[tuple[int, int], tuple[int, int]]:
    """(output h and w, padding top and left). padding: "SAME", "VALID" or (top, left, bottom, right)."""
    if padding == "SAME":
        axes = [same_padding(*axis) for axis in zip(shape, kernel, stride, dilation, strict=True)]
        return tuple(out for out, _ in axes), tuple(before for _, before in axes)
    top, left, bottom, right = (0, 0, 0, 0) if padding == "VALID" else padding
    sizes = (shape[0] + top + bottom, shape[1] + left + right)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    out = tuple((size - r - 1) // s + 1 for size, r, s in zip(sizes, reach, stride, strict=True))
    return out, (top, left)


def convolution(
    seed: int,
    depthwise: bool = False,
    shape: tuple[int, int, int] = (5, 6, 4),
    channels: int = 3,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str | tuple[int, int, int, int] = "SAME",
    activation: str = "NONE",
    x_zero: int = -5,
    y_zero: int = 3,
    factor: float = 1.0,
    kind: str = "random",
    bias: bool = True,
    per_channel: bool = True,
) -> Case:
    """conv2d with `channels` output channels, or depthwise with `channels` per input channel."""
    rng = np.random.default_rng(seed)
    in_c = shape[2]
    out_c = in_c * channels if depthwise else channels
    (out_h, out_w), (top, left) = window(shape[:2], kernel, stride, dilation, padding)
    w_shape = (1, *kernel, out_c) if depthwise else (out_c, *kernel, in_c)
    taps = kernel[0] * kernel[1] * (1 if depthwise else in_c)
    x, w = values(rng, (1, *shape), kind), values(rng, w_shape)
    x_scale = scales(rng)
    w_scales = scales(rng, out_c) if per_channel else np.full(out_c, scales(rng), np.float32)
    y_scale = float(np.float32(x_scale * np.mean(w_scales) * math.sqrt(taps) * 64 * factor))
    b = rng.integers(-20000, 20001, out_c).astype(np.int32) if bias else None

    builder = Builder()
    first = at = builder.activation(x.shape, x_scale, x_zero)
    if not isinstance(padding, str):  # TFLite has no explicit padding: an operator of its own in front
        amounts = np.array([[0, 0], padding[::2], padding[1::2], [0, 0]], np.int32)
        padded = (1, shape[0] + sum(amounts[1]), shape[1] + sum(amounts[2]), in_c)
        at = builder.activation(padded, x_scale, x_zero)
        builder.operator("PAD", [first, builder.constant(amounts)], [at])
    inputs = [at, builder.constant(w, w_scales if per_channel else w_scales[:1], axis=3 if depthwise else 0)]
    zeros = np.zeros(out_c, np.int32)  # LiteRT's convolutions need a bias, ours do not
    inputs.append(builder.constant(b if bias else zeros, w_scales * np.float32(x_scale)))
    last = builder.activation((1, out_h, out_w, out_c), y_scale, y_zero)
    builder.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        inputs,
        [last],
        StrideH=stride[0],
        StrideW=stride[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        Padding="SAME" if padding == "SAME" else "VALID",
        FusedActivationFunction=activation,
        **({"DepthMultiplier": channels} if depthwise else {}),
    )

    clamp = quantization.activation_range(ACTIVATIONS[activation], y_scale, y_zero)
    code = DEPTHWISE_CONV2D if depthwise else CONV2D
    params = [code, *shape, out_h, out_w, out_c, *kernel, *stride, *dilation, top, left, x_zero, y_zero, *clamp]
    pairs = quantization.convolution_multipliers(x_scale, w_scales, y_scale)
    multipliers, shifts = zip(*pairs, strict=True)
    requant = np.array(multipliers, "<i4").tobytes() + np.array(shifts, "<i1").tobytes()
    name = "depthwise_conv2d" if depthwise else "conv2d"
    y_bytes = out_h * out_w * out_c
    return Case(name, builder.build([first], [last]), [x], params, y_bytes, w.reshape(-1), b, requant)


def fully_connected(
    seed: int,
    n_in: int = 20,
    n_out: int = 7,
    activation: str = "NONE",
    x_zero: int = -5,
    y_zero: int = 3,
    factor: float = 1.0,
    kind: str = "random",
    bias: bool = True,
    per_channel: bool = False,
) -> Case:
    rng = np.random.default_rng(seed)
    x, w = values(rng, (1, n_in), kind), values(rng, (n_out, n_in))
    x_scale = scales(rng)
    w_scales = scales(rng, n_out) if per_channel else np.full(n_out, scales(rng), np.float32)
    y_scale = float(np.float32(x_scale * np.mean(w_scales) * math.sqrt(n_in) * 64 * factor))
    b = rng.integers(-20000, 20001, n_out).astype(np.int32) if bias else None
    return dense(x, w, b, x_scale, w_scales if per_channel else w_scales[:1], y_scale, x_zero, y_zero, activation)


def dense(x, w, b, x_scale, w_scales, y_scale, x_zero=0, y_zero=0, activation="NONE") -> Case:
    """A dense layer of these very numbers. w_scales: one float32, or one per output."""
    builder = Builder()
    first = builder.activation(x.shape, x_scale, x_zero)
    inputs = [first, builder.constant(w, w_scales)]
    if b is not None:
        inputs.append(builder.constant(b, w_scales * np.float32(x_scale)))
    last = builder.activation((1, len(w)), y_scale, y_zero)
    builder.operator("FULLY_CONNECTED", inputs, [last], FusedActivationFunction=activation)
    clamp = quantization.activation_range(ACTIVATIONS[activation], y_scale, y_zero)
    requant = quantization.dense_scales(x_scale, np.broadcast_to(w_scales, len(w)), y_scale).astype("<f8").tobytes()
    params = [FULLY_CONNECTED, w.shape[1], len(w), x_zero, y_zero, *clamp]
    return Case("fully_connected", builder.build([first], [last]), [x], params, len(w), w.reshape(-1), b, requant)


def pool(
    seed: int,
    code: int = AVG_POOL,
    shape: tuple[int, int, int] = (5, 6, 4),
    kernel: tuple[int, int] = (2, 2),
    stride: tuple[int, int] = (2, 2),
    padding: str = "VALID",
    activation: str = "NONE",
    zero: int = 3,
    scale: float = 0.05,
    kind: str = "random",
) -> Case:
    rng = np.random.default_rng(seed)
    x = values(rng, (1, *shape), kind)
    (out_h, out_w), (top, left) = window(shape[:2], kernel, stride, (1, 1), padding)
    builder = Builder()
    first = builder.activation(x.shape, scale, zero)
    last = builder.activation((1, out_h, out_w, shape[2]), scale, zero)
    builder.operator(
        "AVERAGE_POOL_2D" if code == AVG_POOL else "MAX_POOL_2D",
        [first],
        [last],
        FilterHeight=kernel[0],
        FilterWidth=kernel[1],
        StrideH=stride[0],
        StrideW=stride[1],
        Padding=padding,
        FusedActivationFunction=activation,
    )
    clamp = quantization.activation_range(ACTIVATIONS[activation], scale, zero)
    params = [code, *shape, out_h, out_w, shape[2], *kernel, *stride, 1, 1, top, left, zero, zero, *clamp]
    name = "avg_pool" if code == AVG_POOL else "max_pool"
    return Case(name, builder.build([first], [last]), [x], params, out_h * out_w * shape[2])


def mean(
    seed: int,
    shape: tuple[int, int, int] = (4, 5, 6),
    x_scale: float = 0.05,
    y_scale: float = 0.05,
    x_zero: int = -5,
    y_zero: int = 3,
    keep: bool = False,
    kind: str = "random",
) -> Case:
    rng = np.random.default_rng(seed)
    x, (h, w, c) = values(rng, (1, *shape), kind), shape
    builder = Builder()
    first = builder.activation(x.shape, x_scale, x_zero)
    last = builder.activation((1, 1, 1, c) if keep else (1, c), y_scale, y_zero)
    axes = builder.constant(np.array([1, 2], np.int32))
    builder.operator("MEAN", [first, axes], [last], KeepDims=keep)
    params = [MEAN, h * w, c, x_zero, y_zero, *quantization.mean_parameters(x_scale, y_scale, h * w)]
    return Case("mean", builder.build([first], [last]), [x], params, c)


def add(
    seed: int,
    n: int = 24,
    x1_scale: float = 0.05,
    x2_scale: float = 0.03,
    y_scale: float = 0.07,
    zeros: tuple[int, int, int] = (-5, 7, 3),
    activation: str = "NONE",
    kind: str = "random",
) -> Case:
    rng = np.random.default_rng(seed)
    xs = [values(rng, (1, n), kind), values(rng, (1, n), kind)]
    builder = Builder()
    first = [
        builder.activation((1, n), x1_scale, zeros[0]),
        builder.activation((1, n), x2_scale, zeros[1]),
    ]
    last = builder.activation((1, n), y_scale, zeros[2])
    builder.operator("ADD", first, [last], FusedActivationFunction=activation)
    clamp = quantization.activation_range(ACTIVATIONS[activation], y_scale, zeros[2])
    params = [ADD, n, *zeros, *clamp, *quantization.add_parameters(x1_scale, x2_scale, y_scale)]
    return Case("add", builder.build(first, [last]), xs, params, n)


def pad(
    seed: int,
    shape: tuple[int, int, int] = (2, 3, 4),
    before: tuple[int, int, int] = (1, 2, 0),
    after: tuple[int, int, int] = (2, 0, 0),
    value: int | None = None,
    zero: int = -5,
) -> Case:
    """value None: PAD, around with the zero point; else PADV2."""
    rng = np.random.default_rng(seed)
    x = values(rng, (1, *shape))
    out = tuple(b + s + a for b, s, a in zip(before, shape, after, strict=True))
    builder = Builder()
    first, last = builder.activation(x.shape, 0.05, zero), builder.activation((1, *out), 0.05, zero)
    inputs = [first, builder.constant(np.array([(0, 0), *zip(before, after, strict=True)], np.int32))]
    if value is None:
        builder.operator("PAD", inputs, [last])
        value = zero
    else:
        inputs.append(builder.constant(np.array([value], np.int8), 0.05, zero))
        builder.operator("PADV2", inputs, [last])
    params = [PAD, *shape, *out, *before, value]
    return Case("pad", builder.build([first], [last]), [x], params, math.prod(out))


def clamp(
    seed: int,
    name: str = "RELU",
    n: int = 24,
    x_scale: float = 0.05,
    y_scale: float = 0.03,
    x_zero: int = -5,
    y_zero: int = 3,
) -> Case:
    """name: RELU, RELU6, RELU_N1_TO_1, or QUANTIZE (a change of scale only)."""
    x = np.arange(n).astype(np.int8).reshape(1, n) if n == 256 else values(np.random.default_rng(seed), (1, n))
    builder = Builder()
    first, last = builder.activation((1, n), x_scale, x_zero), builder.activation((1, n), y_scale, y_zero)
    builder.operator(name, [first], [last])
    ends = quantization.activation_range(ACTIVATIONS.get(name, "none"), y_scale, y_zero)
    ratio = x_scale / y_scale if name == "QUANTIZE" else float(np.float32(x_scale) / np.float32(y_scale))
    params = [CLAMP, n, x_zero, y_zero, *ends, *quantization.quantize_multiplier(ratio)]
    return Case("clamp", builder.build([first], [last]), [x], params, n)


def softmax(seed: int, rows: int = 1, n: int = 10, x_scale: float = 0.05, beta: float = 1.0, spread: int = 256) -> Case:
    """spread: how many different inputs there may be."""
    rng = np.random.default_rng(seed)
    x = (rng.integers(0, spread, (rows, n)) + rng.integers(-128, 129 - spread)).astype(np.int8)
    builder = Builder()
    first, last = builder.activation(x.shape, x_scale, 4), builder.activation(x.shape, 1 / 256, -128)
    builder.operator("SOFTMAX", [first], [last], Beta=beta)
    params = [SOFTMAX, rows, n, *quantization.softmax_parameters(x_scale, beta)]
    return Case("softmax", builder.build([first], [last]), [x], params, rows * n)


def reshape(seed: int, shape: tuple[int, ...] = (3, 4, 2)) -> Case:
    x = values(np.random.default_rng(seed), (1, *shape))
    builder = Builder()
    first, last = builder.activation(x.shape, 0.05, 3), builder.activation((1, x.size), 0.05, 3)
    builder.operator("RESHAPE", [first, builder.constant(np.array([1, x.size], np.int32))], [last])
    return Case("reshape", builder.build([first], [last]), [x], [RESHAPE, x.size], x.size)
