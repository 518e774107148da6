"""The graph between importers and everything behind them: int8 tensors, operators in order, one input, one output.

An importer builds a `Graph` and calls `check()`; whoever comes later may rely on what `check` promises.
The arithmetic is the TFLite int8 specification: int8 activations with a zero point, symmetric int8 weights with one
scale per output channel, int32 biases of scale `x.scale * w.scale`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinylearn_host.errors import BAD_MODEL, TinylearnError

CONV2D = "conv2d"
DEPTHWISE_CONV2D = "depthwise_conv2d"
FULLY_CONNECTED = "fully_connected"
AVG_POOL = "avg_pool"
MAX_POOL = "max_pool"
MEAN = "mean"
ADD = "add"
PAD = "pad"
CLAMP = "clamp"
SOFTMAX = "softmax"
RESHAPE = "reshape"

# code name -> number in the file, see docs/SPEC.md
CODES = {
    CONV2D: 1,
    DEPTHWISE_CONV2D: 2,
    FULLY_CONNECTED: 3,
    AVG_POOL: 4,
    MAX_POOL: 5,
    MEAN: 6,
    ADD: 7,
    PAD: 8,
    CLAMP: 9,
    SOFTMAX: 10,
    RESHAPE: 11,
}
WINDOWED = {CONV2D, DEPTHWISE_CONV2D, AVG_POOL, MAX_POOL}
WEIGHTED = {CONV2D, DEPTHWISE_CONV2D, FULLY_CONNECTED}


@dataclass
class Tensor:
    """An activation (`data` is None) or a constant.

    shape:  activation (h, w, c) or (n,), without the batch; weights conv (o, h, w, i), depthwise (1, h, w, o),
            dense (o, i); bias (o,)
    dtype:  np.int8, or np.int32 for biases
    scale:  real value of one step; a float, or one float32 per output channel (weights and biases)
    """

    name: str
    shape: tuple[int, ...]
    dtype: type = np.int8
    scale: float | np.ndarray = 0.0
    zero_point: int = 0
    data: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def hwc(self) -> tuple[int, int, int]:
        """The shape as height, width, channels; a vector is 1 x 1 x n."""
        return self.shape if len(self.shape) == 3 else (1, 1, self.shape[0])


@dataclass
class Op:
    """One operator. What `attrs` holds, by code:

    conv2d, depthwise_conv2d    stride (h, w), dilation (h, w), padding (top, left, bottom, right), clamp (min, max)
    avg_pool, max_pool          kernel (h, w), stride (h, w), padding (top, left, bottom, right), clamp (min, max)
    fully_connected, add        clamp (min, max)
    clamp                       clamp (min, max): ReLU or ReLU6 standing alone, requantised to the output's scale
    pad                         before (h, w, c), after (h, w, c), value int8
    softmax                     beta float
    mean, reshape               nothing
    """

    code: str
    name: str
    inputs: list[str]
    output: str
    weights: str | None = None
    bias: str | None = None
    attrs: dict = field(default_factory=dict)


@dataclass
class Graph:
    """A model: tensors by name, operators in execution order.

    rounds_once:  sums are rounded to int8 once, as ONNX Runtime's are, not twice as in LiteRT's reference kernels
    """

    name: str
    tensors: dict[str, Tensor]
    ops: list[Op]
    input: str
    output: str
    labels: list[str] | None = None
    meta: dict = field(default_factory=dict)
    rounds_once: bool = False

    def classifier(self) -> tuple[str, int]:
        """The tensor that a new head reads and the index of the model's own classifier's first operator.

        The classifier is a last dense layer (or a 1 x 1 convolution on 1 x 1 pixels), whatever softmax and
        reshapes follow it.
        A graph without one gives (output, number of operators).
        """
        for index in range(len(self.ops) - 1, -1, -1):
            op = self.ops[index]
            if op.code == FULLY_CONNECTED or (op.code == CONV2D and self._is_dense(op)):
                after = {name for later in self.ops[index + 1 :] for name in later.inputs}
                if op.inputs[0] not in after:  # else the features flow past the classifier
                    return op.inputs[0], index
            if op.code not in (SOFTMAX, RESHAPE):
                break
        return self.output, len(self.ops)

    def _is_dense(self, op: Op) -> bool:
        return self.tensors[op.weights].shape[1:3] == (1, 1) and self.tensors[op.inputs[0]].hwc[:2] == (1, 1)

    def check(self) -> None:
        """Raise TinylearnError (exit code 11) where the graph is not what the file format can hold.

        Afterwards: every name exists, every activation is written once before it is read, shapes fit each other.
        """
        written = {self.input}
        for index, op in enumerate(self.ops):
            where = f'operator {index} ({op.code} "{op.name}")'
            if op.code not in CODES:
                raise TinylearnError(f"{where}: no such operator", BAD_MODEL)
            for name in [*op.inputs, op.output, *(n for n in (op.weights, op.bias) if n)]:
                if name not in self.tensors:
                    raise TinylearnError(f'{where}: there is no tensor "{name}"', BAD_MODEL)
            for name in op.inputs:
                if name not in written:
                    raise TinylearnError(f'{where}: reads "{name}" before anything wrote it', BAD_MODEL)
            if op.output in written:
                raise TinylearnError(f'{where}: writes "{op.output}" a second time', BAD_MODEL)
            expected = self._output_shape(op, where)
            found = self.tensors[op.output].hwc
            if op.code == RESHAPE:
                expected, found = (int(np.prod(expected)),), (int(np.prod(found)),)
            if tuple(expected) != tuple(found):
                raise TinylearnError(
                    f"{where}: its output has shape {found}, {tuple(expected)} was expected", BAD_MODEL
                )
            written.add(op.output)
        if self.output not in written:
            raise TinylearnError(f'nothing writes the output "{self.output}"', BAD_MODEL)
        classes = int(np.prod(self.tensors[self.output].shape))
        if self.labels is not None and len(self.labels) != classes:
            raise TinylearnError(f"{len(self.labels)} labels for an output of {classes} classes", BAD_MODEL)

    def _output_shape(self, op: Op, where: str) -> tuple[int, ...]:
        x = self.tensors[op.inputs[0]].hwc
        if op.code in WINDOWED:
            return self._window_shape(op, where, x)
        if op.code == FULLY_CONNECTED:
            n_out, n_in = self.tensors[op.weights].shape
            if n_in != x[0] * x[1] * x[2]:
                raise TinylearnError(
                    f"{where}: weights for {n_in} inputs, the input has {x[0] * x[1] * x[2]}", BAD_MODEL
                )
            return (1, 1, n_out)
        if op.code == MEAN:
            return (1, 1, x[2])
        if op.code == ADD and self.tensors[op.inputs[1]].hwc != x:
            other = self.tensors[op.inputs[1]].hwc
            raise TinylearnError(f"{where}: its inputs have shapes {x} and {other}; they must be equal", BAD_MODEL)
        if op.code == PAD:
            return tuple(n + b + a for n, b, a in zip(x, op.attrs["before"], op.attrs["after"], strict=True))
        return x

    def _window_shape(self, op: Op, where: str, x: tuple[int, int, int]) -> tuple[int, int, int]:
        if op.code in (AVG_POOL, MAX_POOL):
            kernel, channels = op.attrs["kernel"], x[2]
        else:
            o, *kernel, i = self.tensors[op.weights].shape
            channels = o if op.code == CONV2D else i
            if (op.code == CONV2D and i != x[2]) or (op.code == DEPTHWISE_CONV2D and i % x[2]):
                raise TinylearnError(f"{where}: weights for {i} channels, the input has {x[2]}", BAD_MODEL)
        top, left, bottom, right = op.attrs["padding"]
        strides, dilations = op.attrs["stride"], op.attrs.get("dilation", (1, 1))
        spans = (x[0] + top + bottom, x[1] + left + right)
        sides = []
        for span, k, stride, dilation in zip(spans, kernel, strides, dilations, strict=True):
            sides.append((span - (k - 1) * dilation - 1) // stride + 1)
        return (*sides, channels)

    def macs(self, op: Op) -> int:
        """Multiply-accumulates of one forward of `op`; 0 for operators that do not multiply."""
        if op.code not in WEIGHTED:
            return 0
        weights = self.tensors[op.weights].shape
        h, w, channels = self.tensors[op.output].hwc
        per_output = weights[1] * weights[2] if op.code == DEPTHWISE_CONV2D else int(np.prod(weights[1:]))
        return h * w * channels * per_output


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) of one axis."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
