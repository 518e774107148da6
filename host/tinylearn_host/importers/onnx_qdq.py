"""Quantised ONNX (QDQ form) to the graph: what ONNX Runtime's static quantiser writes, and others after it.

In QDQ form every operator computes on reals, between a DequantizeLinear of its inputs and a QuantizeLinear of its
output. One integer operator is such a sandwich: the scales around it say all. So the translation walks the nodes in
order and keeps, for each name, what it stands for: a constant, a quantised activation, or a result that waits for its
scale.
ONNX lays images out as channels, height, width; the graph is height, width, channels.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinylearn_host import ir
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.importers.places import Walk

SMALLEST = float(np.finfo(np.float32).tiny)
UNBOUNDED = (-math.inf, math.inf)
MOVE = {ir.MAX_POOL, ir.PAD, ir.RESHAPE}  # values, in the step that they have
UNCLAMPED = {ir.MEAN, ir.PAD, ir.RESHAPE, ir.SOFTMAX}
NOT_INT8 = "is not quantised: this is no int8 model. Quantise it first: tinylearn quantize --help"

HELP = {
    "recurrent layers have no kernel: use convolutions over time": "LSTM GRU RNN Loop Scan If",
    "train again with ReLU or ReLU6 in its place": "HardSwish HardSigmoid Sigmoid Tanh LeakyRelu PRelu Elu Gelu Mul",
    "fold the batch normalisation into its convolution: quantise through tinylearn quantize": "BatchNormalization",
    "export the model channels first, as PyTorch does": "Transpose",
    "build the model from chains of layers and residual additions": "Concat Split Slice Gather",
    "end the model at the logits and let the host post-process": "ArgMax TopK LogSoftmax",
}


@dataclass
class Constant:
    """A real constant. `steps` and `scale` (a scalar or one per channel) where it came quantised."""

    real: np.ndarray
    steps: np.ndarray | None = None
    scale: np.ndarray | None = None


@dataclass
class Pending:
    """An operator whose output is still real: a QuantizeLinear to come gives it its scale."""

    op: ir.Op
    shape: tuple[int, ...]
    limits: tuple[float, float] = UNBOUNDED


def load(path: str | Path) -> ir.Graph:
    """Read a QDQ int8 (or uint8) .onnx file.

    Raises TinylearnError: 11 where the file is damaged or not quantised, 12 where it has an unsupported operator.
    """
    import onnx  # an optional dependency: the extra [onnx]
    from google.protobuf.message import DecodeError

    path = Path(path)
    try:
        return from_model(onnx.load(path), path)
    except OSError as error:
        raise TinylearnError(f"cannot read {path}: {error.strerror}", BAD_MODEL) from None
    except (DecodeError, ValueError) as error:
        raise TinylearnError(f"{path} is damaged or no ONNX model ({error})", BAD_MODEL) from None


def from_model(model, path: Path) -> ir.Graph:
    """The same of an onnx.ModelProto that came, or was made, from the file `path`."""
    import onnx

    try:
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise TinylearnError(f"{path} is damaged or no ONNX model ({error})", BAD_MODEL) from None
    try:
        graph = _Translation(model, path.stem).graph()
        graph.check()
    except TinylearnError as error:
        raise TinylearnError(f"{path}: {error}", error.exit_code) from None
    graph.meta["source"] = path.name
    return graph


class _Translation(Walk):
    """Translates one ONNX model. `self.values` says what each ONNX name stands for; str names an activation."""

    def __init__(self, model, name: str):
        from onnx import helper

        self.model, self.name, self.helper = model, name, helper
        self.tensors: dict[str, ir.Tensor] = {}
        self.ops: list[ir.Op] = []
        self.flattened: dict[str, tuple[int, ...]] = {}  # activation -> the (h, w, c) it was before a Flatten
        self.values: dict[str, Constant | Pending | str] = {}
        self.readers = Counter(name for node in model.graph.node for name in node.input)
        self.arrays: dict[str, np.ndarray] = {}
        for initializer in model.graph.initializer:
            array = self._array(initializer)
            self.arrays[initializer.name] = array
            if array.dtype.kind == "f":
                self.values[initializer.name] = Constant(array)

    def _array(self, tensor) -> np.ndarray:
        from onnx import numpy_helper

        try:
            return numpy_helper.to_array(tensor)
        except KeyError:  # of its table of types
            raise self._bad(f'"{tensor.name}" has values of type {tensor.data_type}, which ONNX has not') from None

    def graph(self) -> ir.Graph:
        graph = self.model.graph
        inputs = [value for value in graph.input if value.name not in self.arrays]
        for what, values in (("input", inputs), ("output", graph.output)):
            if len(values) != 1:
                names = ", ".join(f'"{value.name}"' for value in values)
                raise self._bad(f"it has {len(values)} {what}s ({names}); one is supported")
        self.input, self.input_shape = inputs[0].name, self._shape(inputs[0])
        for index, node in enumerate(graph.node):
            self.where = f'node {index} ({node.op_type} "{node.name or node.output[0]}")'
            self._translate(node)
        self.where = "the model's ends"
        output = self._activation(graph.output[0].name)
        if not self.ops:
            raise self._bad("there are no operators between them")
        return ir.Graph(self.name, self.tensors, self.ops, self._activation(self.input), output, rounds_once=True)

    def _translate(self, node) -> None:
        translate = TRANSLATIONS.get(node.op_type)
        if translate is None:
            hints = [hint for hint, words in HELP.items() if node.op_type in words.split()]
            raise self._unsupported("not supported", *hints or [f"tinylearn runs {', '.join(sorted(TRANSLATIONS))}"])
        self.attributes = {a.name: self.helper.get_attribute_value(a) for a in node.attribute}
        translate(self, node)

    # ---- names and what they stand for

    def _shape(self, value) -> tuple[int, ...]:
        """(h, w, c) or (n,) of an ONNX value of shape (1, c, h, w), (1, c, w) or (1, n)."""
        sides = [side.dim_value for side in value.type.tensor_type.shape.dim][1:]
        if not 1 <= len(sides) <= 3:
            raise self._bad(
                f'"{value.name}" has {len(sides) + 1} dimensions; (1, n), (1, c, w), (1, c, h, w) are supported'
            )
        if not all(1 <= side <= 65535 for side in sides):
            raise self._bad(f'"{value.name}" has a dynamic or too large shape; export with fixed shapes')
        channels, *space = sides
        return (*([1] if len(space) == 1 else []), *space, channels)

    def _activation(self, name: str) -> str:
        value = self.values.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, Constant):
            raise self._unsupported(f'"{name}" is a constant, an activation was expected', "fold it when exporting")
        raise self._bad(f'"{name}" {NOT_INT8}')

    def _value(self, node) -> Constant | Pending | str | None:
        """What the first input stands for. A result without a scale of its own can only go one way."""
        name = node.input[0]
        value = self.values.get(name)
        if isinstance(value, Pending) and self.readers[name] > 1:
            raise self._unsupported(f'"{name}" goes several ways before it is quantised', "quantise it where it forks")
        return value

    def _x(self, node) -> ir.Tensor:
        return self.tensors[self._activation(node.input[0])]

    def _constant(self, name: str, what: str) -> Constant:
        value = self.values.get(name)
        if not isinstance(value, Constant):
            raise self._unsupported(f'its {what} "{name}" are computed, not constant', "fold them when exporting")
        if not np.all(np.isfinite(value.real)):
            raise self._bad(f'its {what} "{name}" are not all finite')
        return value

    def _integers(self, node, position: int, what: str) -> list[int]:
        """A small integer input, which must be constant."""
        array = self.arrays.get(node.input[position])
        if array is None or array.dtype.kind not in "iu":
            raise self._unsupported(f"its {what} are computed, not constant", "export with fixed shapes")
        return [int(value) for value in array.reshape(-1)]

    # ---- from reals to int8 and back

    def _step(self, node) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point (int64) of a QuantizeLinear or DequantizeLinear, zero point moved to int8 from uint8."""
        scale = self.arrays.get(node.input[1])
        point = self.arrays.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros((), np.uint8)
        if scale is None or point is None or scale.dtype != np.float32:
            raise self._unsupported("its scale and zero point must be constants in float32", "use static quantisation")
        if not (np.all(np.isfinite(scale)) and np.all(scale >= SMALLEST)):
            raise self._bad("a scale is not positive and finite")
        if point.dtype not in (np.int8, np.uint8, np.int32):
            raise self._unsupported(f"its type is {point.dtype}", "quantise to int8")
        return scale, point.astype(np.int64) - (128 if point.dtype == np.uint8 else 0)

    def quantize(self, node) -> None:
        scale, point = self._step(node)
        if scale.size != 1:
            raise self._unsupported("an activation with one scale per channel", "quantise activations per tensor")
        name, value = node.output[0], self._value(node)
        if isinstance(value, Constant):
            raise self._unsupported("weights are quantised at run time", "store them as int8")
        shape = value.shape if isinstance(value, Pending) else self.input_shape
        y = ir.Tensor(name, shape, np.int8, float(scale.reshape(-1)[0]), int(point.reshape(-1)[0]))
        if isinstance(value, Pending):
            self._finish(value, y)
        elif isinstance(value, str):  # from one scale to another
            x = self.tensors[value]
            y.shape = x.shape
            attrs = {"clamp": (-128, 127), "ratio": _ratio(x, y)}
            self.ops.append(ir.Op(ir.CLAMP, node.name, [x.name], name, attrs=attrs))
        elif node.input[0] == self.input and self.input not in self.tensors:
            self.values[self.input] = name
        else:
            raise self._bad(f'"{node.input[0]}" comes from nowhere')
        self.tensors[name] = y
        self.values[name] = name

    def dequantize(self, node) -> None:
        source = node.input[0]
        if source not in self.arrays:
            self.values[node.output[0]] = self._activation(source)
            return
        scale, point = self._step(node)
        raw = self.arrays[source]
        steps = raw.astype(np.int64) - (128 if raw.dtype == np.uint8 else 0)
        axis = self.attributes.get("axis", 1)
        if scale.size > 1:
            if not -raw.ndim <= axis < raw.ndim or raw.shape[axis] != scale.size:
                raise self._bad(f"{scale.size} scales along axis {axis} of shape {list(raw.shape)}")
            along = [-1 if i == axis % raw.ndim else 1 for i in range(raw.ndim)]
            scale, point = scale.reshape(along), point.reshape(along)
        elif self.attributes.get("block_size"):
            raise self._unsupported("it quantises by blocks", "quantise per channel")
        steps = steps - point
        self.values[node.output[0]] = Constant((steps * scale).astype(np.float64), steps, scale)

    def _finish(self, pending: Pending, y: ir.Tensor) -> None:
        """Append the operator, now that its output's scale is known."""
        op, x = pending.op, self.tensors[pending.op.inputs[0]]
        op.output = y.name
        other = (x.scale, x.zero_point) != (y.scale, y.zero_point)
        if op.code in MOVE and (other or (pending.limits != UNBOUNDED and op.code in UNCLAMPED)):
            op, x = self._moved(op, x, y), self.tensors[f"{y.name}:moved"]
        elif op.code == ir.AVG_POOL and other:
            raise self._other_scale(op)
        if op.code == ir.SOFTMAX and (y.scale, y.zero_point) != (1 / 256, -128):
            raise self._unsupported(f"an output scale of {y.scale:g}", "end the model at the logits")
        if op.code == ir.CLAMP:
            op.attrs["ratio"] = _ratio(x, y)
        if op.code not in UNCLAMPED:
            op.attrs["clamp"] = _clamp(pending.limits, y)
        elif pending.limits != UNBOUNDED:
            raise self._unsupported(f"a ReLU straight after {op.code}", "put it before, or quantise between the two")
        if op.code == ir.RESHAPE or (op.code in (ir.CLAMP, ir.ADD) and x.name in self.flattened):
            self.flattened[y.name] = self.flattened.get(x.name, x.hwc)
        self.ops.append(op)

    def _moved(self, op: ir.Op, x: ir.Tensor, y: ir.Tensor) -> ir.Op:
        """Append `op`, which only moves values, in the step of its input; gives the operator that rescales them."""
        if op.code == ir.PAD and op.attrs["value"] != x.zero_point:
            raise self._other_scale(op)
        op.output = f"{y.name}:moved"
        self.tensors[op.output] = replace(y, name=op.output, scale=x.scale, zero_point=x.zero_point)
        if op.code == ir.MAX_POOL:
            op.attrs["clamp"] = (-128, 127)
        elif op.code == ir.RESHAPE:
            self.flattened[op.output] = self.flattened.get(x.name, x.hwc)
        self.ops.append(op)
        return ir.Op(ir.CLAMP, f"{op.name}:clamp", [op.output], y.name)

    def _other_scale(self, op: ir.Op) -> TinylearnError:
        return self._bad(f'the output of "{op.name}" has another scale than its input; they must be equal')

    # ---- operators

    def _pend(self, node, code: str, inputs: list[str], shape, weights=None, bias=None, **attrs) -> None:
        op = ir.Op(code, node.name or node.output[0], inputs, "", weights, bias, attrs)
        self.values[node.output[0]] = Pending(op, tuple(shape))

    def _weights(self, name: str, axis: int) -> tuple[np.ndarray, float | np.ndarray]:
        """int8 weights as stored and their scale: a float, or one per channel along `axis`."""
        constant = self._constant(name, "weights")
        if constant.steps is None:
            raise self._bad(f'"{name}" {NOT_INT8}')
        if np.abs(constant.steps).max(initial=0) > 128:
            raise self._unsupported(f'its weights "{name}" are asymmetric', "quantise weights symmetrically")
        scale = constant.scale
        if scale.size > 1 and scale.shape[axis] != scale.size:
            raise self._unsupported(f'"{name}" has scales along the wrong axis', "quantise per output channel")
        data = np.clip(constant.steps, -127, 127).astype(np.int8)
        return data, (float(scale.reshape(-1)[0]) if scale.size == 1 else scale.reshape(-1).astype(np.float32))

    def _store(self, node, data: np.ndarray, scale, x: ir.Tensor, bias_name: str | None) -> tuple[str, str | None]:
        """Make the tensors of weights (already in the graph's layout, output channels given by `scale`) and bias."""
        weights = f"{node.output[0]}:weights"
        self.tensors[weights] = ir.Tensor(weights, data.shape, np.int8, scale, 0, np.ascontiguousarray(data))
        if not bias_name:
            return weights, None
        real, step = self._constant(bias_name, "biases").real.reshape(-1), x.scale * np.asarray(scale, np.float64)
        steps = np.rint(real / step)
        if np.abs(steps).max(initial=0) >= 2**31:
            raise self._unsupported("a bias does not fit 32 bits at its layer's scales", "calibrate again")
        bias = f"{node.output[0]}:bias"
        scale = (x.scale * scale) if isinstance(scale, float) else (np.float32(x.scale) * scale).astype(np.float32)
        self.tensors[bias] = ir.Tensor(bias, real.shape, np.int32, scale, 0, steps.astype(np.int32))
        return weights, bias

    def convolution(self, node) -> None:
        x = self._x(node)
        data, scale = self._weights(node.input[1], 0)
        if data.ndim == 3:
            data = data[:, :, None, :]
        if data.ndim != 4:
            raise self._unsupported(f"a convolution in {data.ndim - 2} dimensions", "one and two are supported")
        group, channels = self.attributes.get("group", 1), x.hwc[2]
        if group == 1:
            code, data = ir.CONV2D, data.transpose(0, 2, 3, 1)  # (o, i, h, w) -> (o, h, w, i)
        elif group == channels and data.shape[1] == 1:
            code, data = ir.DEPTHWISE_CONV2D, data.transpose(1, 2, 3, 0)  # (o, 1, h, w) -> (1, h, w, o)
        else:
            raise self._unsupported(f"a convolution in {group} groups", "ordinary and depthwise ones are supported")
        kernel, out = data.shape[1:3], data.shape[0 if group == 1 else 3]
        window, sides = self._window(x, kernel)
        weights, bias = self._store(node, data, scale, x, node.input[2] if len(node.input) > 2 else None)
        self._pend(node, code, [x.name], (*sides, out), weights, bias, **window)

    def _pair(self, name: str, default: int = 1) -> tuple[int, int]:
        """An attribute of one number per spatial axis, as (height, width)."""
        values = self.attributes.get(name) or [default, default]
        values = [default, *values] if len(values) == 1 else list(values)
        if len(values) != 2 or not all(1 <= n <= 255 for n in values):
            raise self._unsupported(f"its {name} {values}", "1 to 255 in height and width are supported")
        return values[0], values[1]

    def _window(self, x: ir.Tensor, kernel) -> tuple[dict, list[int]]:
        """Stride, dilation and padding of a sliding window, and the (h, w) of its output."""
        stride, dilation = self._pair("strides"), self._pair("dilations")
        auto = self.attributes.get("auto_pad", b"NOTSET").decode()
        pads = self.attributes.get("pads") or [0, 0, 0, 0]
        top, left, bottom, right = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
        if auto == "SAME_UPPER":
            axes = [ir.same_padding(*axis) for axis in zip(x.hwc[:2], kernel, stride, dilation, strict=True)]
            (top, bottom), (left, right) = axes
        elif auto not in ("NOTSET", "VALID"):
            raise self._unsupported(f"padding {auto}", "export with explicit padding")
        spans = (x.hwc[0] + top + bottom, x.hwc[1] + left + right)
        sides = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(spans, kernel, dilation, stride, strict=True)]
        if self.attributes.get("ceil_mode"):
            raise self._unsupported("ceil_mode", "export with ceil_mode=False")
        if min(sides) < 1 or not all(0 <= n <= 255 for n in (top, left, bottom, right)):
            raise self._bad(f"its window does not fit its input of {x.hwc[0]} x {x.hwc[1]}")
        return {"stride": stride, "dilation": dilation, "padding": (top, left, bottom, right)}, sides

    def pool(self, node, code: str) -> None:
        x, kernel = self._x(node), self._pair("kernel_shape")
        window, sides = self._window(x, kernel)
        if window.pop("dilation") != (1, 1):
            raise self._unsupported("a dilated pool", "use a stride")
        if code == ir.AVG_POOL and self.attributes.get("count_include_pad") and any(window["padding"]):
            raise self._unsupported("it counts its padding", "export with count_include_pad=False")
        self._pend(node, code, [x.name], (*sides, x.hwc[2]), kernel=kernel, **window)

    def average_pool(self, node) -> None:
        self.pool(node, ir.AVG_POOL)

    def max_pool(self, node) -> None:
        self.pool(node, ir.MAX_POOL)

    def mean(self, node) -> None:
        x = self._x(node)
        keep = node.op_type == "GlobalAveragePool" or self.attributes.get("keepdims", 1)
        if node.op_type == "ReduceMean":
            listed = len(node.input) > 1 and node.input[1]
            axes = self._integers(node, 1, "axes") if listed else list(self.attributes.get("axes", []))
            rank = self._rank(node.input[0])
            spatial = set(range(2, rank))
            if {axis % rank for axis in axes} != spatial or not spatial:
                raise self._unsupported(f"a mean over axes {axes}", "only the mean over all pixels is supported")
        self._pend(node, ir.MEAN, [x.name], (1, 1, x.hwc[2]) if keep else (x.hwc[2],))

    def dense(self, node) -> None:
        """Gemm and MatMul, with weights (i, o), or (o, i) where transB says so."""
        x, get = self._x(node), self.attributes.get
        transposed = bool(get("transB"))
        if get("transA") or get("alpha", 1.0) != 1.0 or get("beta", 1.0) != 1.0:
            raise self._unsupported("transA, alpha or beta", "fold them into the weights")
        data, scale = self._weights(node.input[1], 0 if transposed else 1)
        if data.ndim != 2 or len(x.shape) != 1:
            raise self._unsupported(f"{data.ndim}-dimensional weights on an input of shape {x.shape}", "flatten first")
        data = data if transposed else data.T
        h, w, c = self.flattened.get(x.name, x.hwc)
        if data.shape[1] != h * w * c:
            raise self._bad(f"weights for {data.shape[1]} inputs, the input has {h * w * c}")
        data = data.reshape(-1, c, h, w).transpose(0, 2, 3, 1).reshape(data.shape)  # the order before the flatten
        weights, bias = self._store(node, data, scale, x, node.input[2] if len(node.input) > 2 else None)
        self._pend(node, ir.FULLY_CONNECTED, [x.name], data.shape[:1], weights, bias)

    def add(self, node) -> None:
        pending = self._value(node)
        constants = [name for name in node.input if isinstance(self.values.get(name), Constant)]
        if isinstance(pending, Pending) and pending.op.code == ir.FULLY_CONNECTED and constants and not pending.op.bias:
            x, scale = self.tensors[pending.op.inputs[0]], self.tensors[pending.op.weights].scale
            weights = self.tensors[pending.op.weights].data
            pending.op.bias = self._store(node, weights, scale, x, constants[0])[1]  # MatMul, then its bias
            self.tensors.pop(f"{node.output[0]}:weights")
            self.values[node.output[0]] = pending
            return
        names = [self._activation(name) for name in node.input]
        shapes = [self.tensors[name].shape for name in names]
        if shapes[0] != shapes[1]:
            raise self._unsupported(f"an addition of shapes {shapes[0]} and {shapes[1]}", "they must be equal")
        self._pend(node, ir.ADD, names, shapes[0])

    def rectify(self, node) -> None:
        """ReLU and Clip: part of the operator before, where nothing quantises between the two."""
        low, high = (0.0, math.inf) if node.op_type == "Relu" else self._bounds(node)
        value = self._value(node)
        if not isinstance(value, Pending):
            x = self._x(node)
            self._pend(node, ir.CLAMP, [x.name], x.shape)
            value = self.values[node.output[0]]
        value.limits = (max(low, value.limits[0]), min(high, value.limits[1]))
        self.values[node.output[0]] = value

    def _bounds(self, node) -> tuple[float, float]:
        bounds = [self.attributes.get("min", -math.inf), self.attributes.get("max", math.inf)]
        for position, name in enumerate(node.input[1:3]):
            if name:
                bounds[position] = float(self._constant(name, "bounds").real.reshape(-1)[0])
        return bounds[0], bounds[1]

    def pad(self, node) -> None:
        x = self._x(node)
        if self.attributes.get("mode", b"constant") != b"constant":
            raise self._unsupported(f"padding by {self.attributes['mode'].decode()}", "pad with zeros")
        pads = self._integers(node, 1, "amounts") if len(node.input) > 1 else list(self.attributes.get("pads", []))
        rank = len(x.shape) + 1
        if len(pads) != 2 * rank or rank < 4 or min(pads) < 0 or pads[0] or pads[rank]:
            raise self._unsupported(f"amounts {pads}", "pad channels, height and width by zero or more")
        before, after = ([p[2], p[3], p[1]] for p in (pads[:rank], pads[rank:]))
        real = 0.0
        if len(node.input) > 2 and node.input[2]:
            real = float(self._constant(node.input[2], "value").real.reshape(-1)[0])
        value = int(np.clip(np.rint(real / x.scale) + x.zero_point, -128, 127))
        shape = [n + b + a for n, b, a in zip(x.shape, before, after, strict=True)]
        self._pend(node, ir.PAD, [x.name], shape, before=before, after=after, value=value)

    def softmax(self, node) -> None:
        x = self._x(node)
        if len(x.shape) != 1:
            raise self._unsupported("a softmax over pixels", "it is supported over the classes only")
        self._pend(node, ir.SOFTMAX, [x.name], x.shape, beta=1.0)

    def flatten(self, node) -> None:
        """Flatten, Reshape, Squeeze, Unsqueeze: to a vector, or where only sides of 1 come and go."""
        x = self._x(node)
        shape = self._inferred(node.output[0])
        straight = [n for n in shape if n > 1] == [n for n in x.shape if n > 1]
        if len(shape) > 1 and not straight:
            raise self._unsupported(f"a reshape from {x.shape} to {shape}", "only flattening to a vector is supported")
        self._pend(node, ir.RESHAPE, [x.name], shape)

    def _rank(self, name: str) -> int:
        """Dimensions of a real activation in the file: a row of pixels has 3 there, here it is an image."""
        for value in [*self.model.graph.input, *self.model.graph.value_info]:
            if value.name == name:
                return len(value.type.tensor_type.shape.dim)
        raise self._bad(f'the shape of "{name}" is not known; export with fixed shapes')

    def _inferred(self, name: str) -> tuple[int, ...]:
        for value in [*self.model.graph.value_info, *self.model.graph.output]:
            if value.name == name:
                return self._shape(value)
        raise self._bad(f'the shape of "{name}" is not known; export with fixed shapes')

    def constant(self, node) -> None:
        if "value" not in self.attributes:
            raise self._unsupported("a constant that is no tensor", "export with onnx >= 1.16")
        array = self._array(self.attributes["value"])
        self.arrays[node.output[0]] = array
        if array.dtype.kind == "f":
            self.values[node.output[0]] = Constant(array)

    def identity(self, node) -> None:
        for table in (self.values, self.arrays):
            if node.input[0] in table:
                table[node.output[0]] = table[node.input[0]]


def _ratio(x: ir.Tensor, y: ir.Tensor) -> float:
    return float(np.float32(x.scale) / np.float32(y.scale))


def _clamp(limits: tuple[float, float], y: ir.Tensor) -> tuple[int, int]:
    """The int8 clamp that keeps an output between two reals."""
    sides = []
    for real, default in zip(limits, (-128, 127), strict=True):
        step = default if math.isinf(real) else round(real / y.scale) + y.zero_point
        sides.append(max(-128, min(127, step)))
    return sides[0], sides[1]


TRANSLATIONS = {
    "QuantizeLinear": _Translation.quantize,
    "DequantizeLinear": _Translation.dequantize,
    "Conv": _Translation.convolution,
    "Gemm": _Translation.dense,
    "MatMul": _Translation.dense,
    "Add": _Translation.add,
    "Relu": _Translation.rectify,
    "Clip": _Translation.rectify,
    "AveragePool": _Translation.average_pool,
    "MaxPool": _Translation.max_pool,
    "GlobalAveragePool": _Translation.mean,
    "ReduceMean": _Translation.mean,
    "Pad": _Translation.pad,
    "Softmax": _Translation.softmax,
    "Flatten": _Translation.flatten,
    "Reshape": _Translation.flatten,
    "Squeeze": _Translation.flatten,
    "Unsqueeze": _Translation.flatten,
    "Constant": _Translation.constant,
    "Identity": _Translation.identity,
}
