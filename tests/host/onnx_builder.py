"""Small float ONNX networks for tests: layer after layer, weights drawn from a seed."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A network that grows by its methods; each appends one layer to what came before."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0):
        """shape: of one sample, (c, h, w) or (n,)"""
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.shape = [], [], shape
        self.last, self.channels = "x", shape[0]

    def constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes) -> Net:
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *inputs], [output], output, **attributes))
        self.last = output
        return self

    def normal(self, *shape: int) -> np.ndarray:
        fan_in = max(1, int(np.prod(shape[1:])))
        return (self.random.normal(size=shape) / fan_in**0.5).astype(np.float32)

    def conv(self, out: int, kernel: int = 3, stride: int = 1, pad: int = 0, depthwise: int = 0, bias=True) -> Net:
        """`depthwise`: the multiplier, 0 for an ordinary convolution."""
        out, group = (self.channels * depthwise, self.channels) if depthwise else (out, 1)
        weights = [self.constant(self.normal(out, self.channels // group, kernel, kernel))]
        if bias:
            weights.append(self.constant(self.normal(out)))
        self.channels = out
        return self.node("Conv", *weights, strides=[stride] * 2, pads=[pad] * 4, group=group, kernel_shape=[kernel] * 2)

    def relu(self) -> Net:
        return self.node("Relu")

    def relu6(self) -> Net:
        low, high = (self.constant(np.array(v, np.float32)) for v in (0, 6))
        return self.node("Clip", low, high)

    def mean(self) -> Net:
        return self.node("ReduceMean", axes=[2, 3], keepdims=0)

    def dense(self, inputs: int, out: int) -> Net:
        return self.node("Gemm", self.constant(self.normal(out, inputs)), self.constant(self.normal(out)), transB=1)

    def save(self, path, output: tuple[int | None, ...], opset: int = 13) -> None:
        """output: the shape of one answer"""
        ends = [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, *s])
            for n, s in (("x", self.shape), (self.last, output))
        ]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
