"""Small models made by hand, for what runs programs."""

import numpy as np
from tinylearn_host import ir, tlm

SEED = 20


def every_operator() -> ir.Graph:
    """9 x 7 x 3 in, 5 classes out, through every operator that the format has."""
    graph = _Maker()
    x = graph.input((9, 7, 3))
    x = graph.pad(x, before=(1, 0, 0), after=(0, 1, 0))
    x = graph.conv(x, 8, kernel=(3, 3), stride=(1, 1))
    y = graph.depthwise(x, kernel=(3, 3))
    x = graph.op(ir.ADD, [x, y], graph.shape(x), clamp=(-128, 127))
    x = graph.pool(ir.MAX_POOL, x)
    x = graph.op(ir.CLAMP, [x], graph.shape(x), clamp=(0, 127), ratio=0.75)
    x = graph.conv(x, 6, kernel=(2, 2), stride=(2, 1), dilation=(1, 2))
    x = graph.pool(ir.AVG_POOL, x)
    x = graph.op(ir.RESHAPE, [x], (graph.size(x),))
    x = graph.op(ir.RESHAPE, [x], (2, 1, graph.size(x) // 2))
    x = graph.op(ir.MEAN, [x], (graph.size(x) // 2,))
    x = graph.dense(x, 5)
    x = graph.op(ir.SOFTMAX, [x], (5,), scale=1 / 256, zero_point=-128, beta=1.0)
    return graph.done(x)


def every_operator_file() -> bytes:
    """Without scratch, whose bytes differ from processor to processor: the whole arena can be compared."""
    return tlm.build(every_operator(), growth=None)


class _Maker:
    def __init__(self):
        self.rng = np.random.default_rng(SEED)
        self.tensors: dict[str, ir.Tensor] = {}
        self.ops: list[ir.Op] = []

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def size(self, name: str) -> int:
        return int(np.prod(self.shape(name)))

    def _activation(self, shape, scale=None, zero_point=None) -> str:
        name = f"a{len(self.tensors)}"
        scale = float(np.float32(self.rng.uniform(0.02, 0.05))) if scale is None else scale
        zero_point = int(self.rng.integers(-20, 20)) if zero_point is None else zero_point
        self.tensors[name] = ir.Tensor(name, tuple(shape), np.int8, scale, zero_point)
        return name

    def _constant(self, data, scale) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = ir.Tensor(name, data.shape, data.dtype.type, scale, 0, data)
        return name

    def _weights(self, shape, channels, x) -> tuple[str, str]:
        scales = self.rng.uniform(0.005, 0.02, channels).astype(np.float32)
        w = self._constant(self.rng.integers(-127, 128, shape).astype(np.int8), scales)
        bias = self.rng.integers(-500, 500, channels).astype(np.int32)
        return w, self._constant(bias, scales * np.float32(self.tensors[x].scale))

    def input(self, shape) -> str:
        self.entry = self._activation(shape)
        return self.entry

    def op(self, code, inputs, shape, weights=None, bias=None, scale=None, zero_point=None, **attrs) -> str:
        if code in (ir.RESHAPE, ir.MAX_POOL, ir.AVG_POOL, ir.PAD):
            scale, zero_point = self.tensors[inputs[0]].scale, self.tensors[inputs[0]].zero_point
        y = self._activation(shape, scale, zero_point)
        self.ops.append(ir.Op(code, y, inputs, y, weights, bias, attrs))
        return y

    def pad(self, x, before, after) -> str:
        shape = tuple(n + b + a for n, b, a in zip(self.shape(x), before, after, strict=True))
        return self.op(ir.PAD, [x], shape, before=before, after=after, value=self.tensors[x].zero_point)

    def _window(self, code, x, channels, kernel, stride, dilation, weights=None, bias=None) -> str:
        h, w, _ = self.shape(x)
        top, bottom = ir.same_padding(h, kernel[0], stride[0], dilation[0])
        left, right = ir.same_padding(w, kernel[1], stride[1], dilation[1])
        shape = (-(-h // stride[0]), -(-w // stride[1]), channels)
        attrs = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": (top, left, bottom, right)}
        return self.op(code, [x], shape, weights, bias, clamp=(-120, 119), **attrs)

    def conv(self, x, channels, kernel, stride, dilation=(1, 1)) -> str:
        weights = self._weights((channels, *kernel, self.shape(x)[2]), channels, x)
        return self._window(ir.CONV2D, x, channels, kernel, stride, dilation, *weights)

    def depthwise(self, x, kernel) -> str:
        channels = self.shape(x)[2]
        weights = self._weights((1, *kernel, channels), channels, x)
        return self._window(ir.DEPTHWISE_CONV2D, x, channels, kernel, (1, 1), (1, 1), *weights)

    def pool(self, code, x) -> str:
        return self._window(code, x, self.shape(x)[2], (2, 2), (2, 2), (1, 1))

    def dense(self, x, classes) -> str:
        weights = self._weights((classes, self.size(x)), classes, x)
        return self.op(ir.FULLY_CONNECTED, [x], (classes,), *weights, clamp=(-128, 127))

    def done(self, output) -> ir.Graph:
        labels = [f"class {i}" for i in range(self.size(output))]
        return ir.Graph("every operator", self.tensors, self.ops, self.entry, output, labels)
