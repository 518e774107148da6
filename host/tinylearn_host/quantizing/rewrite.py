"""A float network in the few operators that boards have, channels first; what cannot be one is refused by its place.

One walk over the nodes. For every name of the old network, `values` says what stands for it in the new one: the new
name, and how the old value lies to the new. Exporters of channels-last frameworks put Transposes around everything;
here a Transpose only changes how the data lies, and none is left at the end.

What comes out: Conv (ordinary and depthwise, with bias), Gemm (weights o x i, with bias), Relu, Clip, Add, AveragePool,
MaxPool, GlobalAveragePool, ReduceMean (of all pixels, to a vector), Pad, Reshape, Softmax.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinylearn_host.errors import BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError
from tinylearn_host.importers.places import Walk
from tinylearn_host.quantizing import passes
from tinylearn_host.quantizing.network import Network, attributes, where

AXES_AS_INPUT = 18  # operator set from which on ReduceMean takes its axes as an input
TO_LAST, TO_FIRST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}, {3: (0, 2, 1), 4: (0, 3, 1, 2)}

HELP = {
    "recurrent layers have no kernel: use convolutions over time": "LSTM GRU RNN Loop Scan If",
    "put ReLU6 in its place and train some epochs more": "HardSwish HardSigmoid Mish Silu Swish",
    "put ReLU in its place and train some epochs more": "Sigmoid Tanh LeakyRelu PRelu Elu Selu Celu Gelu Erf Softplus",
    "add the branches instead (Add), or give each its own convolution before an Add": "Concat",
    "build the model from chains of layers and residual additions": "Split Slice Gather GatherElements GatherND",
    "use a convolution with stride for less and leave growing to the host": "Resize Upsample ConvTranspose",
    "use batch normalisation, which folds into the layer before": "InstanceNormalization LayerNormalization "
    "GroupNormalization LRN LpNormalization MeanVarianceNormalization",
    "end the model at the logits and let the host post-process": "TopK NonMaxSuppression",
}

SHAPE_ARITHMETIC = {"Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "If"}  # until it is folded


@dataclass(frozen=True)
class Value:
    """What stands for an old name.

    name:   in the new network
    last:   the old value is the new one with its channels moved to the end
    order:  (c, h, w) where the old value is a vector that runs over h, w, c and the new one over c, h, w
    """

    name: str
    last: bool = False
    order: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Rewritten:
    """
    last:    users hand in samples channels last, as the network they exported does
    output:  how the old output lies to the new one
    notes:   what was left out, and why
    """

    network: Network
    last: bool
    output: Value
    notes: tuple[str, ...]


def check(model, source: str) -> None:
    """Refuse (12) what has no hope in a file as it came, an onnx.ModelProto, before anything takes it apart."""
    ends = {value.name for value in model.graph.output}
    for index, node in enumerate(model.graph.node):
        hint = _gate(model, node) or _hint(node.op_type)
        left_out = node.op_type == "Sigmoid" and node.output[0] in ends
        if hint and node.op_type not in SHAPE_ARITHMETIC and not left_out:
            raise TinylearnError(f"{where(source, node, index)}: not supported; {hint}", UNSUPPORTED_OPERATOR)


def _gate(model, node) -> str | None:
    """What to do about a sigmoid that multiplies: its own input (SiLU), or somebody else (squeeze-and-excite)."""
    gated = [other for other in model.graph.node if other.op_type == "Mul" and node.output[0] in other.input]
    if not gated or node.op_type not in ("Sigmoid", "HardSigmoid"):
        return None
    if node.input[0] in gated[0].input:
        return "it is half of a SiLU (swish): put ReLU6 in its place and train some epochs more"
    return "it gates, as in squeeze-and-excite: leave such blocks out and train some epochs more"


def _hint(kind: str) -> str | None:
    return next((hint for hint, words in HELP.items() if kind in words.split()), None)


def rewrite(network: Network) -> Rewritten:
    """Raises TinylearnError (11, 12) with the node's place and what to do instead."""
    return _Rewriting(network).result()


class _Rewriting(Walk):
    def __init__(self, old: Network):
        self.old, self.readers = old, old.readers()
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list = []
        self.writers: dict[str, int] = {}  # new name -> index of the node that writes it
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.notes: list[str] = []
        self.used: set[str] = set()
        self.last = self._enters_last()
        shape = (old.shape[-1], *old.shape[:-1]) if self.last else old.shape
        self.shape, self.values = shape, {old.input: Value(old.input, self.last)}
        self.shapes[old.input] = (1, *shape)

    def result(self) -> Rewritten:
        for node in self.old.nodes:
            self.node, self.attributes = node, attributes(node)
            if not all(name in self.old.constants for name in node.input if name):
                translate = TRANSLATIONS.get(node.op_type)
                if translate is None:
                    hint = _hint(node.op_type) or f"tinylearn has {', '.join(KNOWN)}"
                    raise self._unsupported("not supported", hint)
                translate(self)
        if not self.nodes or self.old.output not in self.values:
            raise TinylearnError(f"{self.old.source}: nothing leads from its input to its output", BAD_MODEL)
        output = self.values[self.old.output].name
        network = replace(self.old, nodes=self.nodes, constants=self.constants, shape=self.shape, output=output)
        network.shapes = self.shapes
        ends = self.values[self.old.output]
        network = passes.tidied(network)
        return Rewritten(network, self.last, ends, tuple(self.notes))

    def _enters_last(self) -> bool:
        """Whether the first thing that minds how the data lies is a Transpose to channels first."""
        reached, rank = {self.old.input}, len(self.old.shape) + 1
        for node in self.old.nodes:
            if not any(name in reached for name in node.input):
                continue
            if node.op_type == "Transpose":
                return tuple(attributes(node).get("perm", ())) == TO_FIRST.get(rank)
            if node.op_type not in ("Mul", "Add", "Sub", "Div", "Identity", "Cast", "Clip", "Relu", "Dropout"):
                return False
            reached.update(node.output)
        return False

    @property
    def where(self) -> str:
        return self.old.where(self.node)

    # ---- reading the old network

    def _value(self, position: int = 0) -> Value:
        name = self.node.input[position]
        if name not in self.values:
            raise self._unsupported(f'"{name}" is a constant, an activation was expected', "fold it when exporting")
        return self.values[name]

    def _first(self, position: int = 0) -> str:
        """The new name of an input that must lie channels first, with its values in their own order."""
        value = self._value(position)
        moved = value.last and np.prod(self.shapes[value.name][2:]) > 1
        if moved or value.order:
            raise self._unsupported("it takes channels from another axis than its neighbours", "keep one layout")
        return value.name

    def _constant(self, position: int, what: str) -> np.ndarray:
        name = self.node.input[position]
        if name not in self.old.constants:
            raise self._unsupported(f'its {what} "{name}" are computed, not constant', "fold them when exporting")
        array = self.old.constants[name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self._bad(f'its {what} "{name}" hold NaN or infinity; train again')
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def _has(self, position: int) -> bool:
        return len(self.node.input) > position and bool(self.node.input[position])

    def _old_shape(self, name: str) -> tuple[int, ...]:
        return self.old.shapes[name]

    # ---- writing the new one

    def _keep(self, array: np.ndarray, what: str) -> str:
        name = f"{self.node.output[0]}:{what}"
        while name in self.constants:
            name += "'"
        self.constants[name] = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64)
        return name

    def _emit(self, kind: str, inputs: list[str], shape, value: Value | None = None, output="", **options) -> str:
        """Append a node; it stands for what the old node gives, unless `output` names something on the way there."""
        from onnx import helper

        name = output or self.node.output[0]
        label = (self.node.name or self.node.output[0]) + (f":{kind}" if output else "")
        while label in self.used:
            label += "'"
        self.used.add(label)
        self.nodes.append(helper.make_node(kind, inputs, [name], label, **options))
        self.writers[name], self.shapes[name] = len(self.nodes) - 1, tuple(int(n) for n in shape)
        if not output:
            self.values[name] = replace(value or Value(name), name=name)
        return name

    def _stand(self, value: Value, position: int = 0) -> None:
        """No node is needed: what the old one gives is `value`."""
        self.readers[self.node.input[position]] -= 1
        self.values[self.node.output[0]] = value

    def same(self) -> None:
        """A node that changes nothing."""
        self._stand(self._value())

    def end_before(self) -> None:
        """What only post-processes the logits, at the end: the same class wins without it."""
        if self.node.output[0] != self.old.output:
            raise self._unsupported("it is not at the model's end", "end the model at the logits")
        self.notes.append(f"{self.node.op_type} at the end is left out: the model gives what goes into it")
        self.same()

    # ---- how data lies

    def transpose(self) -> None:
        value = self._value()
        shape = self._old_shape(self.node.input[0])
        rank = len(shape)
        order = tuple(self.attributes.get("perm", range(rank)[::-1]))
        if not value.order:
            if order == tuple(range(rank)):
                return self.same()
            if not value.last and order == TO_LAST.get(rank):
                return self._stand(Value(value.name, last=True))
            if value.last and order == TO_FIRST.get(rank):
                return self._stand(Value(value.name))
            moved = [axis for axis in order if shape[axis] > 1]
            if moved == sorted(moved) and not value.last:
                return self._reshape(value, [shape[axis] for axis in order])
        raise self._unsupported(f"it moves axes {shape} by {order}", "only to channels first or last is supported")

    def reshape(self) -> None:
        """Flatten, Reshape, Squeeze, Unsqueeze."""
        self._reshape(self._value(), self._old_shape(self.node.output[0]))

    def _reshape(self, value: Value, shape) -> None:
        before, shape = self._old_shape(self.node.input[0]), list(shape)
        if np.prod(before, dtype=np.int64) != np.prod(shape, dtype=np.int64):
            raise self._bad(f"it makes {list(before)} into {shape}")
        if list(before) == shape:
            return self.same()
        straight = [n for n in before if n > 1] == [n for n in shape if n > 1] and len(shape) >= 2
        flat = len(shape) == 2 and shape[0] == 1
        if shape[:1] != [1] or not (flat or (straight and not value.order)):
            hint = "flattening to a vector is supported, and sides of 1 may come and go"
            raise self._unsupported(f"a reshape from {list(before)} to {shape}", hint)
        result = Value("", order=value.order)
        if value.last and flat:
            sides = ([1, *before[1:]] if len(before) == 3 else before[1:]) if len(before) > 2 else [1, 1, before[1]]
            h, w, c = sides
            result = Value("", order=(c, h, w) if c > 1 and h * w > 1 else None)
        elif value.last:
            shape, result = [1, shape[-1], *shape[1:-1]], Value("", last=len(shape) > 2)
        if flat and self._ends_in_mean(value.name):
            self._mean_to_vector(value.name)
        if tuple(shape) == self.shapes[value.name]:
            return self._stand(replace(result, name=value.name))
        target = self._keep(np.array([-1, *shape[1:]]), "shape")
        self._emit("Reshape", [value.name, target], shape, result)
        return None

    def _ends_in_mean(self, name: str) -> bool:
        writer = self._writer(name)
        return writer is not None and writer.op_type == "GlobalAveragePool" and self._only_here(name)

    def _mean_to_vector(self, name: str) -> None:
        """A mean that is flattened anyway gives a vector at once."""
        from onnx import helper

        writer, rank = self._writer(name), len(self.shapes[name])
        axes, options = list(range(2, rank)), {"keepdims": 0}
        inputs = [writer.input[0]]
        if self.old.opset >= AXES_AS_INPUT:
            inputs.append(self._keep(np.array(axes), "axes"))
        else:
            options["axes"] = axes
        mean = helper.make_node("ReduceMean", inputs, [name], writer.name, **options)
        self.nodes[self.writers[name]], self.shapes[name] = mean, self.shapes[name][:2]

    def _writer(self, name: str):
        return self.nodes[self.writers[name]] if name in self.writers else None

    # ---- layers

    def convolution(self) -> None:
        x, w = self._first(), self._constant(1, "weights")
        group, channels = self.attributes.get("group", 1), self.shapes[x][1]
        if w.ndim not in (3, 4):
            raise self._unsupported(f"a convolution in {w.ndim - 2} dimensions", "one and two are supported")
        if w.shape[1] * group != channels or len(w) % group:
            raise self._bad(f"its weights have shape {list(w.shape)} for {channels} channels in {group} groups")
        depthwise = group == channels and w.shape[1] == 1
        if group != 1 and not depthwise:
            hint = f"use an ordinary one (groups=1) or a depthwise one (groups={channels})"
            raise self._unsupported(f"a convolution in {group} groups", hint)
        bias = self._constant(2, "biases") if self._has(2) else np.zeros(len(w), np.float32)
        sides, window = self._window(x, w.shape[2:])
        shape = (1, len(w), *sides)
        self._emit("Conv", [x, self._keep(w, "w"), self._keep(bias, "b")], shape, group=group, **window)

    def _window(self, x: str, kernel, ceil: bool = False) -> tuple[list[int], dict]:
        """Sides of the output, and the attributes of a window with explicit padding."""
        n, size, get = len(kernel), self.shapes[x][2:], self.attributes.get
        strides, dilations = list(get("strides") or [1] * n), list(get("dilations") or [1] * n)
        pads, auto = list(get("pads") or [0] * 2 * n), get("auto_pad", b"NOTSET")
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            total = [max((-(-s // t) - 1) * t + r - s, 0) for s, t, r in zip(size, strides, reach, strict=True)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            pads = [*less, *more] if auto == b"SAME_UPPER" else [*more, *less]
        sides = []
        for axis in range(n):
            room = size[axis] + pads[axis] + pads[n + axis] - reach[axis]
            if ceil and room % strides[axis] and (room // strides[axis] + 1) * strides[axis] < size[axis] + pads[axis]:
                more = strides[axis] - room % strides[axis]  # the last window begins inside: widen the padding for it
                pads[n + axis], room = pads[n + axis] + more, room + more
            sides.append(room // strides[axis] + 1)
        if min(sides) < 1:
            raise self._unsupported(f"its window does not fit an input of {list(size)}", "make it smaller, or pad")
        window = {"strides": strides, "pads": pads, "kernel_shape": list(kernel)}
        return sides, {**window, **({"dilations": dilations} if max(dilations) > 1 else {})}

    def dense(self) -> None:
        """Gemm and MatMul, with weights (i, o), or (o, i) where transB says so."""
        value, w, get = self._value(), self._constant(1, "weights"), self.attributes.get
        if get("transA") or w.ndim != 2:
            raise self._unsupported("a product of two activations or of stacks", "only a dense layer is supported")
        w = (w if get("transB") else w.T) * np.float32(get("alpha", 1.0))
        bias = np.zeros(len(w), np.float32)
        if self._has(2):
            bias = bias + np.float32(get("beta", 1.0)) * self._constant(2, "biases").reshape(-1)
        before = self.shapes[value.name]
        inputs = before[1] if value.last or len(before) == 2 else before[-1]
        if inputs != w.shape[1] or len(bias) != len(w):
            raise self._bad(f"its weights are for {w.shape[1]} inputs and {len(bias)} outputs, it has {inputs}")
        if value.last and len(before) > 2:  # one layer for each pixel
            kernel = [1] * (len(before) - 2)
            inputs = [value.name, self._keep(w.reshape(*w.shape, *kernel), "w"), self._keep(bias, "b")]
            self._emit("Conv", inputs, (1, len(w), *before[2:]), Value("", last=True), kernel_shape=kernel)
            return
        if len(before) != 2:
            hint = "flatten first, or use a convolution with a kernel of 1 there"
            raise self._unsupported(f"a dense layer applied to each of {int(np.prod(before[1:-1]))} positions", hint)
        if value.order:
            c, h, wide = value.order
            w = w.reshape(-1, h, wide, c).transpose(0, 3, 1, 2).reshape(w.shape)
        inputs = [value.name, self._keep(w, "w"), self._keep(bias, "b")]
        self._emit("Gemm", inputs, (1, len(w)), transB=1)

    # ---- a factor and a summand per channel

    def batch_normalisation(self) -> None:
        gamma, beta, mean, variance = (self._constant(i, "parameters").astype(np.float64) for i in range(1, 5))
        factor = gamma / np.sqrt(variance + self.attributes.get("epsilon", 1e-5))
        self._scale(self._value(), factor, beta - factor * mean)

    def arithmetic(self) -> None:
        """Add of two activations; Add, Sub, Mul and Div with a constant, which the layer before can do."""
        constant = [name in self.old.constants for name in self.node.input]
        kind = "Add" if self.node.op_type == "Sum" else self.node.op_type
        if len(constant) != 2:
            raise self._unsupported(f"a sum of {len(constant)}", "add two at a time (Add)")
        if not any(constant):
            self.addition(kind)
            return
        side = constant.index(True)
        value = self._value(1 - side)
        c = self._per_channel(self._constant(side, "values"), value)
        if kind == "Div" and side == 0:
            raise self._unsupported("a constant divided by an activation", "leave it to the host")
        one = np.ones_like(c)
        if kind in ("Mul", "Div"):
            self._scale(value, c if kind == "Mul" else 1 / c, 0 * c)
        elif kind == "Add":
            self._scale(value, one, c)
        else:
            self._scale(value, *((one, -c) if side == 1 else (-one, c)))

    def addition(self, kind: str) -> None:
        a, b = self._value(0), self._value(1)
        if kind != "Add":
            gate = "gate nothing: leave squeeze-and-excite blocks out, and use ReLU6 for hard-swish"
            raise self._unsupported(f"{kind} of two activations", gate if kind == "Mul" else "add them (Add) and train")
        shapes = [self.shapes[v.name] for v in (a, b)]
        if shapes[0] != shapes[1] or (a.last, a.order) != (b.last, b.order):
            raise self._unsupported(f"an addition of shapes {shapes[0]} and {shapes[1]}", "they must be equal")
        self._emit("Add", [a.name, b.name], shapes[0], a)

    def _per_channel(self, constant: np.ndarray, value: Value) -> np.ndarray:
        """float64 [channels], from a scalar or what varies along the channels only."""
        shape = self.shapes[value.name]
        channels, rank = shape[1], len(shape)
        full = constant.reshape([1] * (rank - constant.ndim) + list(constant.shape)) if constant.ndim <= rank else None
        axis = rank - 1 if value.last else 1
        sides = None if full is None else [n for i, n in enumerate(full.shape) if i != axis]
        if sides is None or any(n != 1 for n in sides) or full.shape[axis] not in (1, channels) or value.order:
            hint = "one constant, or one per channel, is supported"
            raise self._unsupported(f"arithmetic with a constant of shape {list(constant.shape)}", hint)
        return np.broadcast_to(full.reshape(-1).astype(np.float64), (channels,))

    def _scale(self, value: Value, factor: np.ndarray, summand: np.ndarray) -> None:
        """value * factor + summand: part of the layer before, or a depthwise convolution with a kernel of 1."""
        if np.all(factor == 1) and not np.any(summand):
            self._stand(value, self._activation_side())
            return
        writer = self._writer(value.name)
        if writer is not None and writer.op_type in ("Conv", "Gemm") and self._only_here(value.name):
            w, b = (self.constants[name] for name in writer.input[1:])
            along = factor.reshape(-1, *[1] * (w.ndim - 1))
            writer.input[1], writer.input[2] = self._keep(w * along, "w"), self._keep(b * factor + summand, "b")
            self._stand(value, self._activation_side())
            return
        shape = self.shapes[value.name]
        kernel = [1] * (len(shape) - 2 or 2)
        w = factor.reshape(-1, 1, *kernel)
        x, wide = value.name, shape
        if len(shape) == 2:
            wide = (*shape, 1, 1)
            target = self._keep(np.array([-1, *wide[1:]]), "shape")
            x = self._emit("Reshape", [x, target], wide, output=f"{self.node.output[0]}:image")
        inner = {"output": f"{self.node.output[0]}:scaled"} if len(shape) == 2 else {"value": value}
        inputs = [x, self._keep(w, "w"), self._keep(summand, "b")]
        y = self._emit("Conv", inputs, wide, group=shape[1], kernel_shape=kernel, **inner)
        if len(shape) == 2:
            self._emit("Reshape", [y, self._keep(np.array([-1, shape[1]]), "shape")], shape, value)

    def _activation_side(self) -> int:
        return next(i for i, name in enumerate(self.node.input) if name in self.values)

    def _only_here(self, name: str) -> bool:
        """Whether nothing but the present node reads what stands under this new name."""
        return sum(self.readers[old] for old, value in self.values.items() if value.name == name) == 1

    # ---- activations

    def relu(self) -> None:
        self._clip(0.0, math.inf)

    def clip(self) -> None:
        bounds = [self.attributes.get("min", -math.inf), self.attributes.get("max", math.inf)]
        for side in (0, 1):
            if self._has(side + 1):
                bounds[side] = float(self._constant(side + 1, "bounds").reshape(-1)[0])
        self._clip(*bounds)

    def extreme(self) -> None:
        """Min and Max with a constant."""
        constant = [name in self.old.constants for name in self.node.input]
        if constant.count(True) != 1 or len(constant) != 2:
            raise self._unsupported("of several activations", "only a bound is supported, as in ReLU6")
        bound = self._constant(constant.index(True), "bound")
        if bound.size != 1:
            raise self._unsupported("a bound per channel", "one bound for all is supported, as in ReLU6")
        real = float(bound.reshape(-1)[0])
        low, high = (-math.inf, real) if self.node.op_type == "Min" else (real, math.inf)
        self._clip(low, high, constant.index(False))

    def _clip(self, low: float, high: float, position: int = 0) -> None:
        value = self._value(position)
        if not low <= 0 <= high or low == high:
            raise self._unsupported(f"a clip to {low:g} .. {high:g}", "the range must contain 0, as ReLU's and ReLU6's")
        if (low, high) == (-math.inf, math.inf):
            self._stand(value, position)
        elif value.name == self.old.input:
            raise self._unsupported("it clips the input itself", "clip the samples where they are recorded")
        elif (writer := self._writer(value.name)) is not None and writer.op_type == "AveragePool":
            raise self._unsupported("it follows an average pool with padding", "put it before the pool, or do not pad")
        elif (low, high) == (0, math.inf):
            self._emit("Relu", [value.name], self.shapes[value.name], value)
        else:
            ends = [
                "" if math.isinf(real) else self._keep(np.array(real, np.float32), what)
                for real, what in ((low, "min"), (high, "max"))
            ]
            self._emit("Clip", [value.name, *ends], self.shapes[value.name], value)

    def softmax(self) -> None:
        x, axis = self._first(), self.attributes.get("axis", -1)
        shape = self.shapes[x]
        if len(shape) != 2 or axis not in (1, -1):
            raise self._unsupported("a softmax over pixels", "it is supported over the classes of a vector only")
        self._emit("Softmax", [x], shape, axis=1)

    # ---- pools

    def pool(self) -> None:
        x, kernel = self._first(), list(self.attributes["kernel_shape"])
        if max(self.attributes.get("dilations") or [1]) > 1:
            raise self._unsupported("a dilated pool", "use a stride")
        sides, window = self._window(x, kernel, bool(self.attributes.get("ceil_mode")))
        shape = (1, self.shapes[x][1], *sides)
        if self.node.op_type == "AveragePool" and tuple(kernel) == self.shapes[x][2:] and not any(window["pads"]):
            self._emit("GlobalAveragePool", [x], shape)  # a mean has a scale of its own
            return
        if self.node.op_type == "AveragePool" and any(window["pads"]) and self.attributes.get("count_include_pad"):
            if self.attributes.get("ceil_mode"):
                raise self._unsupported("ceil_mode with padding that counts", "export with count_include_pad=False")
            n = len(kernel)
            before, after = window["pads"][:n], window["pads"][n:]
            wide = (
                *self.shapes[x][:2],
                *(s + b + a for s, b, a in zip(self.shapes[x][2:], before, after, strict=True)),
            )
            amounts = self._keep(np.array([0, 0, *before, 0, 0, *after]), "amounts")
            x = self._emit("Pad", [x, amounts], wide, output=f"{self.node.output[0]}:padded")
            window["pads"] = [0] * 2 * n
        if self.node.op_type == "AveragePool" and not any(window["pads"]):
            self._average(x, kernel, shape, window)
        else:
            self._emit(self.node.op_type, [x], shape, **window)

    def _average(self, x: str, kernel: list[int], shape, window: dict) -> None:
        """As a depthwise convolution: that has a scale of its own, where the fractions of a pool are rounded away."""
        channels = shape[1]
        w = np.full((channels, 1, *kernel), 1 / np.prod(kernel), np.float32)
        inputs = [x, self._keep(w, "w"), self._keep(np.zeros(channels, np.float32), "b")]
        self._emit("Conv", inputs, shape, group=channels, **window)

    def global_pool(self) -> None:
        """GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax over all pixels."""
        value, shape = self._value(), self.shapes[self._value().name]
        most, keep = self.node.op_type in ("GlobalMaxPool", "ReduceMax"), 1
        rank, pixels = len(shape), set(range(2, len(shape)))
        if self.node.op_type.startswith("Reduce"):
            axes = {axis % rank for axis in self._axes(rank)}
            pixels = set(range(1, rank - 1)) if value.last else pixels
            sides = self._old_shape(self.node.input[0])
            keep = self.attributes.get("keepdims", 1)
            if not pixels or value.order or not {a for a in pixels if sides[a] > 1} <= axes <= pixels:
                hint = "only over all pixels (height and width, or time) is supported"
                raise self._unsupported(f"{self.node.op_type} over axes {sorted(axes)}", hint)
        elif value.last or rank < 3:
            self._first()
            raise self._unsupported("a pool over a vector", "leave it out")
        pooled, whole = (*shape[:2], *[1] * (rank - 2)), list(shape[2:])
        options = {"kernel_shape": whole, "strides": whole} if most else {}
        kind = "MaxPool" if most else "GlobalAveragePool"
        after = self._old_shape(self.node.output[0])
        if keep or len(after) == rank:
            self._emit(kind, [value.name], pooled, Value("", last=value.last), **options)
            return
        if len(after) > 2:
            raise self._unsupported("a mean that leaves an axis of 1", "keep all axes, or none but the channels")
        if not most:
            self._emit(kind, [value.name], pooled)
            self._mean_to_vector(self.node.output[0])
            return
        y = self._emit(kind, [value.name], pooled, output=f"{self.node.output[0]}:pooled", **options)
        self._emit("Reshape", [y, self._keep(np.array([-1, shape[1]]), "shape")], shape[:2])

    def _axes(self, rank: int) -> list[int]:
        if self._has(1):
            return [int(axis) for axis in self._constant(1, "axes").reshape(-1)]
        return list(self.attributes.get("axes", range(rank)))

    def pad(self) -> None:
        value, mode = self._value(), self.attributes.get("mode", b"constant").decode()
        shape = self.shapes[value.name]
        rank = len(shape)
        if mode != "constant":
            raise self._unsupported(f"padding by {mode}", "pad with zeros")
        amounts = np.zeros((2, rank), np.int64)
        axes = self._constant(3, "axes").reshape(-1) % rank if self._has(3) else np.arange(rank)
        given = self._constant(1, "amounts") if self._has(1) else np.array(self.attributes.get("pads", []))
        amounts[:, axes] = given.reshape(2, -1)
        if value.last:
            amounts = amounts[:, list(TO_FIRST[rank])]
        if amounts.min() < 0 or amounts[:, 0].any() or rank < 3 or value.order:
            hint = "channels, height and width can be padded, by zero or more"
            raise self._unsupported(f"amounts {given.reshape(-1).tolist()}", hint)
        if not amounts.any():
            return self.same()
        inputs = [value.name, self._keep(amounts.reshape(-1), "amounts")]
        if self._has(2) and float(self._constant(2, "value").reshape(-1)[0]):
            inputs.append(self._keep(self._constant(2, "value").reshape(()), "value"))
        self._emit("Pad", inputs, np.array(shape) + amounts.sum(0), value)
        return None


TRANSLATIONS = {
    "Conv": _Rewriting.convolution,
    "Gemm": _Rewriting.dense,
    "MatMul": _Rewriting.dense,
    "BatchNormalization": _Rewriting.batch_normalisation,
    "Add": _Rewriting.arithmetic,
    "Sum": _Rewriting.arithmetic,
    "Sub": _Rewriting.arithmetic,
    "Mul": _Rewriting.arithmetic,
    "Div": _Rewriting.arithmetic,
    "Relu": _Rewriting.relu,
    "Clip": _Rewriting.clip,
    "Min": _Rewriting.extreme,
    "Max": _Rewriting.extreme,
    "AveragePool": _Rewriting.pool,
    "MaxPool": _Rewriting.pool,
    "GlobalAveragePool": _Rewriting.global_pool,
    "GlobalMaxPool": _Rewriting.global_pool,
    "ReduceMean": _Rewriting.global_pool,
    "ReduceMax": _Rewriting.global_pool,
    "Pad": _Rewriting.pad,
    "Softmax": _Rewriting.softmax,
    "LogSoftmax": _Rewriting.end_before,
    "ArgMax": _Rewriting.end_before,
    "Sigmoid": _Rewriting.end_before,
    "Flatten": _Rewriting.reshape,
    "Reshape": _Rewriting.reshape,
    "Squeeze": _Rewriting.reshape,
    "Unsqueeze": _Rewriting.reshape,
    "Transpose": _Rewriting.transpose,
    "Identity": _Rewriting.same,
    "Dropout": _Rewriting.same,
    "Cast": _Rewriting.same,
}
KNOWN = sorted(set(TRANSLATIONS) - {"ArgMax", "LogSoftmax", "Sigmoid", "Cast", "Identity"})
