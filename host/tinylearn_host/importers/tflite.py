"""int8 .tflite files to the graph; what boards do not have is refused by operator name and index, with what helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinylearn_host import ir, quantization
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.importers.tflite_file import ACTIVATIONS, Call, Contents, Record, Translation, contents


def load(path: str | Path) -> ir.Graph:
    """Read an int8 .tflite file.

    Raises TinylearnError: 11 where the file is damaged or not an int8 model, 12 where it has an unsupported operator.
    """
    path = Path(path)
    read = contents(path)
    try:
        graph = _Translation(read, path.stem).graph()
        graph.check()
    except TinylearnError as error:
        raise TinylearnError(f"{path}: {error}", error.exit_code) from None
    graph.meta["source"] = path.name
    return graph


class _Translation(Translation):
    """Translates `contents` into one graph. Methods named after operators append to `self.ops`."""

    def __init__(self, contents: Contents, name: str):
        super().__init__(contents, name)
        self.tensors: dict[str, ir.Tensor] = {}
        self.ops: list[ir.Op] = []
        self.same_as: dict[int, int] = {}  # output of a stripped QUANTIZE or DEQUANTIZE -> its int8 side
        self.meta: dict = {}

    def graph(self) -> ir.Graph:
        self.check_ends()
        self.walk(TRANSLATIONS)
        self.where = "the model's ends"
        source, sink = (self.same_as.get(i, i) for i in (self.contents.inputs[0], self.contents.outputs[0]))
        ends = [self._activation(source), self._activation(sink)]
        if not self.ops:
            raise TinylearnError("the model has no operators", BAD_MODEL)
        return ir.Graph(self.name, self.tensors, self.ops, ends[0], ends[1], meta=self.meta)

    # ---- tensors

    def _activation(self, index: int) -> str:
        """The int8 activation tensor `index`, checked and made on first use; gives its name."""
        index = self.same_as.get(index, index)
        name, record = self.names[index], self.records[index]
        if record.data:
            raise self._unsupported(f'"{name}" is a constant, an activation was expected', "fold it when exporting")
        if name in self.tensors:
            return name
        self._check_int8(name, record)
        if len(record.scales) != 1 or len(record.zero_points) != 1:
            raise self._bad(f'"{name}" has {len(record.scales)} quantisation scales; an activation has one')
        if not -128 <= record.zero_points[0] <= 127:
            raise self._bad(f'"{name}" has zero point {record.zero_points[0]}, outside int8')
        if not (np.isfinite(record.scales[0]) and record.scales[0] > 0):
            raise self._bad(f'"{name}" has scale {record.scales[0]}; it must be positive and finite')
        self.tensors[name] = ir.Tensor(
            name, self._shape(name, record), np.int8, float(record.scales[0]), int(record.zero_points[0])
        )
        return name

    def _check_int8(self, name: str, record: Record) -> None:
        if record.dtype == "int8" and len(record.scales):
            return
        if record.dtype in ("float32", "float16", "bfloat16", "float64"):
            raise self._bad(
                f'"{name}" is {record.dtype}: this is not an int8 model. Export it with full integer quantisation, or '
                "use `tinylearn quantize`"
            )
        if record.dtype == "uint8":
            raise self._bad(f'"{name}" is uint8, TensorFlow\'s old quantisation; export it again with int8 operators')
        if record.dtype == "int8":
            raise self._bad(f'"{name}" has no quantisation scale; export with full integer quantisation')
        raise self._bad(f'"{name}" is {record.dtype}; only int8 models are supported')

    def _shape(self, name: str, record: Record) -> tuple[int, ...]:
        """(h, w, c) or (n,): without the batch, which must be 1."""
        shape = record.shape
        fixed = len(shape) == len(record.signature) and all(n > 0 for n in record.signature[1:])
        if not fixed or any(n < 1 for n in shape):
            raise self._bad(f'"{name}" has the dynamic shape {list(record.signature)}; export with fixed shapes')
        if any(n > 65535 for n in shape):
            raise self._bad(f'"{name}" has shape {list(shape)}; 65535 is the most along one axis')
        if len(shape) not in (1, 2, 3, 4):
            raise self._bad(
                f'"{name}" has {len(shape)} dimensions; at most batch, height, width and channels are supported'
            )
        if len(shape) == 1:
            return shape
        if shape[0] != 1:
            raise self._bad(f'"{name}" has shape {list(shape)}, a batch of {shape[0]}; export with batch 1')
        return {2: shape[1:], 3: (1, *shape[1:]), 4: shape[1:]}[len(shape)]

    def _constant(self, index: int, dtype: str, what: str) -> tuple[str, Record, np.ndarray]:
        name, record = self.names[index], self.records[index]
        if record.dtype != dtype:
            if what == "weights" and record.dtype.startswith("float"):
                self._check_int8(name, record)
            raise self._unsupported(f'its {what} "{name}" are {record.dtype}, {dtype} was expected', "export with int8")
        if record.sparse:
            raise self._unsupported(f'its {what} "{name}" are stored sparse', "export them dense")
        if not record.data:
            raise self._unsupported(f'its {what} "{name}" are computed, not constant', "fold them when exporting")
        count, size = int(np.prod(record.shape, dtype=np.int64)), np.dtype(dtype).itemsize
        if any(n < 1 or n > 65535 for n in record.shape) or count * size != len(record.data):
            raise self._bad(
                f'its {what} "{name}" hold {len(record.data)} bytes, shape {list(record.shape)} was promised'
            )
        return name, record, np.frombuffer(record.data, np.dtype(dtype).newbyteorder("<")).reshape(record.shape)

    def _weights(self, index: int, rank: int, axis: int) -> str:
        """int8 weights, symmetric, one scale for all (a float) or one per output channel along `axis` (an array)."""
        name, record, data = self._constant(index, "int8", "weights")
        if len(record.shape) != rank:
            raise self._bad(f'its weights "{name}" have {len(record.shape)} dimensions, {rank} were expected')
        channels = record.shape[axis]
        if len(record.scales) not in (1, channels) or (len(record.scales) > 1 and record.axis != axis):
            raise self._bad(
                f'its weights "{name}" have {len(record.scales)} scales along axis {record.axis}; '
                f"one, or {channels} along axis {axis} were expected"
            )
        if np.any(record.zero_points != 0):
            raise self._unsupported(
                f'its weights "{name}" are asymmetric (zero point {record.zero_points[0]})',
                "export with symmetric weights",
            )
        if not (np.all(np.isfinite(record.scales)) and np.all(record.scales >= 0)):
            raise self._bad(f'its weights "{name}" have a scale that is negative or not finite')
        scale = float(record.scales[0]) if len(record.scales) == 1 else record.scales
        self.tensors.setdefault(name, ir.Tensor(name, record.shape, np.int8, scale, 0, data))
        return name

    def _bias(self, call: Call, channels: int, scale) -> str | None:
        if len(call.inputs) < 3 or call.inputs[2] < 0:
            return None
        name, record, data = self._constant(call.inputs[2], "int32", "bias")
        if record.shape != (channels,):
            raise self._bad(f'its bias "{name}" has shape {list(record.shape)}, [{channels}] was expected')
        self.tensors.setdefault(name, ir.Tensor(name, (channels,), np.int32, scale, 0, data))
        return name

    def _integers(self, call: Call, position: int, what: str) -> np.ndarray:
        if len(call.inputs) <= position or call.inputs[position] < 0:
            raise self._bad(f"its {what} are missing")
        dtype = self.records[call.inputs[position]].dtype
        if dtype not in ("int32", "int64"):
            raise self._bad(f"its {what} are {dtype}, int32 was expected")
        return self._constant(call.inputs[position], dtype, what)[2]

    # ---- operators

    def _append(self, code: str, call: Call, inputs: list[str], weights=None, bias=None, **attrs) -> None:
        output = self._activation(call.outputs[0])
        self.ops.append(ir.Op(code, self.names[call.outputs[0]].split(";")[0], inputs, output, weights, bias, attrs))

    def _x(self, call: Call) -> ir.Tensor:
        return self.tensors[self._activation(call.inputs[0])]

    def _clamp(self, call: Call, activation: int | None = None) -> tuple[int, int]:
        if activation is None:
            activation = call.options["FusedActivationFunction"]
        if activation not in ACTIVATIONS:
            raise self._unsupported(f"its fused activation (number {activation})", "use ReLU or ReLU6")
        y = self.tensors[self._activation(call.outputs[0])]
        return quantization.activation_range(ACTIVATIONS[activation], y.scale, y.zero_point)

    def _window(self, call: Call, kernel: tuple[int, int]) -> dict:
        """Stride, dilation, padding and clamp of a sliding window."""
        options, x = call.options, self._x(call)
        stride = (options["StrideH"], options["StrideW"])
        dilation = (options.get("DilationHFactor", 1), options.get("DilationWFactor", 1))
        for what, pair in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
            if not all(1 <= n <= 255 for n in pair):
                raise self._unsupported(f"its {what} is {pair[0]} x {pair[1]}", "1 to 255 are supported")
        if options["Padding"] not in (0, 1):
            raise self._bad(f"its padding has the unknown number {options['Padding']}")
        padding = (0, 0, 0, 0)
        if options["Padding"] == 0:
            sides = [ir.same_padding(*axis) for axis in zip(x.hwc, kernel, stride, dilation)]  # noqa: B905 channels are left
            padding = (sides[0][0], sides[1][0], sides[0][1], sides[1][1])
        return {"stride": stride, "dilation": dilation, "padding": padding, "clamp": self._clamp(call)}

    def convolution(self, call: Call, code: str, axis: int) -> None:
        if len(call.inputs) < 2:
            raise self._bad("it has no weights")
        weights = self._weights(call.inputs[1], 4, axis)
        tensor, x = self.tensors[weights], self._x(call)
        if code == ir.DEPTHWISE_CONV2D and tensor.shape[0] != 1:
            raise self._bad(f"its weights have shape {list(tensor.shape)}; the first axis must be 1")
        if code == ir.CONV2D and tensor.shape[3] != x.hwc[2]:
            raise self._unsupported(
                f"a grouped convolution ({x.hwc[2]} channels in, weights for {tensor.shape[3]})",
                "only ordinary and depthwise ones are supported",
            )
        bias = self._bias(call, tensor.shape[axis], x.scale * np.float64(tensor.scale))
        attrs = self._window(call, tensor.shape[1:3])
        self._append(code, call, [x.name], weights, bias, **attrs)

    def conv_2d(self, call: Call) -> None:
        self.convolution(call, ir.CONV2D, 0)

    def depthwise_conv_2d(self, call: Call) -> None:
        self.convolution(call, ir.DEPTHWISE_CONV2D, 3)

    def fully_connected(self, call: Call) -> None:
        if len(call.inputs) < 2:
            raise self._bad("it has no weights")
        if call.options["WeightsFormat"] != 0:
            raise self._unsupported("its weights are shuffled", "export with the default weights format")
        weights = self._weights(call.inputs[1], 2, 0)
        tensor, x = self.tensors[weights], self._x(call)
        n_in, count = tensor.shape[1], int(np.prod(x.shape))
        if n_in != count:
            raise self._unsupported(
                f"a dense layer applied to each of {count // n_in} positions", "use a 1 x 1 convolution there"
            )
        bias = self._bias(call, tensor.shape[0], x.scale * np.float64(tensor.scale))
        self._append(ir.FULLY_CONNECTED, call, [x.name], weights, bias, clamp=self._clamp(call))

    def pool(self, call: Call, code: str) -> None:
        x, y = self._x(call), self.tensors[self._activation(call.outputs[0])]
        self._check_same_scale(x, y)
        kernel = (call.options["FilterHeight"], call.options["FilterWidth"])
        attrs = self._window(call, kernel)
        attrs.pop("dilation")
        self._append(code, call, [x.name], kernel=kernel, **attrs)

    def _check_same_scale(self, x: ir.Tensor, y: ir.Tensor) -> None:
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise self._bad(
                f"its output has scale {y.scale:g} and zero point {y.zero_point}, "
                f"its input {x.scale:g} and {x.zero_point}; they must be equal"
            )

    def average_pool_2d(self, call: Call) -> None:
        self.pool(call, ir.AVG_POOL)

    def max_pool_2d(self, call: Call) -> None:
        self.pool(call, ir.MAX_POOL)

    def mean(self, call: Call) -> None:
        x, rank = self._x(call), len(self.records[self.same_as.get(call.inputs[0], call.inputs[0])].shape)
        axes = {int(axis) % rank for axis in self._integers(call, 1, "axes").reshape(-1)}
        spatial = {axis for axis in range(1, rank - 1) if self.records[call.inputs[0]].shape[axis] > 1}
        if rank < 3 or not spatial <= axes <= set(range(1, rank - 1)):
            raise self._unsupported(
                f"a mean over axes {sorted(axes)}", "only the mean over height and width is supported"
            )
        self._append(ir.MEAN, call, [x.name])

    def add(self, call: Call) -> None:
        if len(call.inputs) != 2 or min(call.inputs) < 0:
            raise self._bad("it needs two inputs")
        if any(self.records[i].data for i in call.inputs):
            raise self._unsupported("an addition of a constant", "fold it into the bias of the layer before")
        names = [self._activation(i) for i in call.inputs]
        shapes = [self.tensors[name].hwc for name in names]
        if shapes[0] != shapes[1]:
            raise self._unsupported(
                f"an addition of shapes {shapes[0]} and {shapes[1]}", "both must have the same shape"
            )
        self._append(ir.ADD, call, names, clamp=self._clamp(call))

    def pad(self, call: Call) -> None:
        x = self._x(call)
        self._check_same_scale(x, self.tensors[self._activation(call.outputs[0])])
        amounts = self._integers(call, 1, "amounts")
        rank = len(self.records[call.inputs[0]].shape)
        if amounts.shape != (rank, 2) or rank not in (2, 3, 4) or amounts.min() < 0 or amounts.max() > 65535:
            raise self._bad(
                f"its amounts have shape {list(amounts.shape)} or are out of range; [{rank}, 2] was expected"
            )
        if amounts[0].any():
            raise self._unsupported("it pads the batch", "export with batch 1")
        rows = np.concatenate([np.zeros((4 - rank, 2), amounts.dtype), amounts[1:]])
        before, after = ([int(n) for n in rows[:, side]] for side in (0, 1))
        self._append(ir.PAD, call, [x.name], before=before, after=after, value=self._pad_value(call, x))

    def _pad_value(self, call: Call, x: ir.Tensor) -> int:
        if len(call.inputs) < 3 or call.inputs[2] < 0:
            return x.zero_point
        data = self._constant(call.inputs[2], "int8", "pad value")[2]
        if data.size != 1:
            raise self._bad(f"{data.size} pad values; one was expected")
        return int(data.reshape(-1)[0])

    def rectify(self, call: Call, activation: int) -> None:
        x, y = self._x(call), self.tensors[self._activation(call.outputs[0])]
        with np.errstate(over="ignore", under="ignore"):
            ratio = float(np.float32(x.scale) / np.float32(y.scale))
        if not np.isfinite(ratio):
            raise self._bad(f"its input has scale {x.scale:g}, its output {y.scale:g}: too far apart")
        self._append(ir.CLAMP, call, [x.name], clamp=self._clamp(call, activation), ratio=ratio)

    def relu(self, call: Call) -> None:
        self.rectify(call, 1)

    def relu6(self, call: Call) -> None:
        self.rectify(call, 3)

    def relu_n1_to_1(self, call: Call) -> None:
        self.rectify(call, 2)

    def softmax(self, call: Call) -> None:
        x, y = self._x(call), self.tensors[self._activation(call.outputs[0])]
        if y.scale != 1 / 256 or y.zero_point != -128:
            raise self._bad(
                f"its output has scale {y.scale:g} and zero point {y.zero_point}; 1/256 and -128 were expected"
            )
        beta = float(call.options["Beta"])
        if not (np.isfinite(beta) and beta > 0):
            raise self._bad(f"its beta is {beta}; it must be positive and finite")
        self._append(ir.SOFTMAX, call, [x.name], beta=beta)

    def reshape(self, call: Call) -> None:
        x, y = self._x(call), self.tensors[self._activation(call.outputs[0])]
        if x.bytes != y.bytes:
            raise self._bad(f"it makes {x.bytes} values into {y.bytes}; export with fixed shapes")
        self._check_same_scale(x, y)
        self._append(ir.RESHAPE, call, [x.name])

    def quantize(self, call: Call) -> None:
        """Stripped at the model's float or uint8 ends; between two int8 tensors it is a clamp that clamps nothing."""
        source, target = call.inputs[0], call.outputs[0]
        dtype = self.records[source].dtype
        if source in self.contents.inputs and dtype in ("float32", "uint8"):
            self._check_shift(source, target)
            self.same_as[source] = target
            self.meta["source_input"] = dtype
        elif target in self.contents.outputs and self.records[target].dtype == "uint8":
            self._check_shift(target, source)
            self.same_as[target] = self.same_as.get(source, source)
            self.meta["source_output"] = "uint8"
        else:
            x, y = self._x(call), self.tensors[self._activation(target)]
            self._append(ir.CLAMP, call, [x.name], clamp=(-128, 127), ratio=x.scale / y.scale)

    def _check_shift(self, outer: int, inner: int) -> None:
        """A uint8 end must be the int8 tensor moved by 128, or stripping it would change what the model says."""
        u, s = self.records[outer], self.records[inner]
        if u.dtype != "uint8":
            return
        if len(u.scales) != 1 or u.scales[0] != s.scales[0] or u.zero_points[0] - 128 != s.zero_points[0]:
            raise self._unsupported("a change of scale between uint8 and int8", "export with int8 input and output")

    def dequantize(self, call: Call) -> None:
        source, target = call.inputs[0], call.outputs[0]
        if target not in self.contents.outputs:
            self._check_int8(self.names[target], self.records[target])
            raise self._bad("it is not at the model's output: parts of the model run in float. Export with int8 only")
        self._activation(source)
        self.same_as[target] = self.same_as.get(source, source)
        self.meta["source_output"] = "float32"


TRANSLATIONS = {
    "CONV_2D": _Translation.conv_2d,
    "DEPTHWISE_CONV_2D": _Translation.depthwise_conv_2d,
    "FULLY_CONNECTED": _Translation.fully_connected,
    "AVERAGE_POOL_2D": _Translation.average_pool_2d,
    "MAX_POOL_2D": _Translation.max_pool_2d,
    "MEAN": _Translation.mean,
    "ADD": _Translation.add,
    "PAD": _Translation.pad,
    "PADV2": _Translation.pad,
    "RELU": _Translation.relu,
    "RELU6": _Translation.relu6,
    "RELU_N1_TO_1": _Translation.relu_n1_to_1,
    "SOFTMAX": _Translation.softmax,
    "RESHAPE": _Translation.reshape,
    "SQUEEZE": _Translation.reshape,
    "EXPAND_DIMS": _Translation.reshape,
    "QUANTIZE": _Translation.quantize,
    "DEQUANTIZE": _Translation.dequantize,
}
