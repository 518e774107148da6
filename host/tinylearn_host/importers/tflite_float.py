"""Float .tflite files to float ONNX, node by node, for `tinylearn quantize`; float16 and int8 weights become float32.

Data stays channels last as TensorFlow has it, with a Transpose before and behind each operator that ONNX wants channels
first; quantizing/rewrite.py takes them out again.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tinylearn_host import ir, quantization
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.importers import tflite_file as tflite

OPSET = 17
FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]
DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "int32": np.int32, "int64": np.int64}
BOUNDS = {
    quantization.NONE: None,
    quantization.RELU: (0.0, math.inf),
    quantization.RELU6: (0.0, 6.0),
    quantization.RELU_N1_TO_1: (-1.0, 1.0),
}


def load(path: Path):
    """A float .tflite as an onnx.ModelProto. Raises TinylearnError: 11 (damaged, or int8 already), 12 (an operator)."""
    contents = tflite.contents(path)
    try:
        return _Translation(contents, path.stem).model()
    except TinylearnError as error:
        raise TinylearnError(f"{path}: {error}", error.exit_code) from None


class _Translation(tflite.Translation):
    """`self.names`: tensor index -> its ONNX name; `self.real`: tensor index -> the constant it holds."""

    def __init__(self, contents: tflite.Contents, name: str):
        super().__init__(contents, name)
        self.nodes: list = []
        self.constants: dict[str, np.ndarray] = {}
        self.real = {i: self._values(record) for i, record in enumerate(self.records) if record.data}

    def model(self):
        from onnx import TensorProto, helper, numpy_helper

        self.check_ends()
        self.walk(TRANSLATIONS)
        ends = (self.contents.inputs[0], self.contents.outputs[0])
        values = [
            helper.make_tensor_value_info(self.names[i], TensorProto.FLOAT, self._shape(self.records[i])) for i in ends
        ]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, self.name, values[:1], values[1:], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def check_ends(self) -> None:
        super().check_ends()
        for record in self.records:
            if record.dtype == "int8" and len(record.scales) and not record.data:
                raise TinylearnError(
                    f'"{record.name}" is int8: the model is quantised already. Use tinylearn convert', BAD_MODEL
                )

    # ---- tensors

    def _shape(self, record: tflite.Record) -> list[int]:
        fixed = len(record.shape) == len(record.signature) and all(n > 0 for n in record.signature[1:])
        if not fixed or any(n < 1 for n in record.shape):
            raise TinylearnError(
                f'"{record.name}" has the dynamic shape {list(record.signature)}; export with fixed shapes', BAD_MODEL
            )
        return [1, *record.shape[1:]]

    def _values(self, record: tflite.Record) -> np.ndarray | None:
        """What a constant holds, in float32 where it is real; None where it is of no use here."""
        dtype = DTYPES.get(record.dtype)
        if dtype is None or record.sparse:
            return None
        if len(record.data) != int(np.prod(record.shape, dtype=np.int64)) * np.dtype(dtype).itemsize:
            raise TinylearnError(
                f'"{record.name}" holds {len(record.data)} bytes, shape {list(record.shape)} was promised', BAD_MODEL
            )
        array = np.frombuffer(record.data, np.dtype(dtype).newbyteorder("<")).reshape(record.shape)
        if record.dtype == "int8" and len(record.scales):
            along = [-1 if i == record.axis and len(record.scales) > 1 else 1 for i in range(array.ndim)]
            return (array * record.scales.reshape(along)).astype(np.float32)
        return array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)

    def _x(self, call: tflite.Call, position: int = 0) -> str:
        """The ONNX name of an input, made a constant of the model where it is one."""
        index = call.inputs[position]
        if index in self.real and self.names[index] not in self.constants:
            self.constants[self.names[index]] = self._constant(call, position, "values")
        return self.names[index]

    def _constant(self, call: tflite.Call, position: int, what: str) -> np.ndarray:
        index = call.inputs[position] if position < len(call.inputs) else -1
        if index < 0 or self.real.get(index) is None:
            name = self.names[index] if index >= 0 else ""
            raise self._unsupported(
                f'its {what} "{name}" are computed, sparse or missing, not constant', "export them as dense constants"
            )
        return self.real[index]

    def _dims(self, call: tflite.Call) -> list[int]:
        return self._shape(self.records[call.inputs[0]])

    def _channels(self, call: tflite.Call) -> int:
        dims = self._dims(call)
        if len(dims) != 4:
            raise self._bad(f"its input has shape {dims}; batch, height, width and channels were expected")
        return dims[3]

    # ---- nodes

    def _keep(self, array: np.ndarray) -> str:
        name = f"{self.where}: constant {len(self.constants)}"
        self.constants[name] = array
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **options) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], output, **options))
        return output

    def _end(self, call: tflite.Call, kind: str, inputs: list[str], activation: int | None = None, **options) -> None:
        """A node, then the call's fused activation, under the name of the call's output."""
        if activation is None:
            activation = call.options.get("FusedActivationFunction", 0)
        if activation not in tflite.ACTIVATIONS:
            raise self._unsupported(f"its fused activation (number {activation})", "use ReLU or ReLU6")
        bounds, y = BOUNDS[tflite.ACTIVATIONS[activation]], self.names[call.outputs[0]]
        if bounds is None:
            self._node(kind, inputs, y, **options)
            return
        real = self._node(kind, inputs, f"{y}/linear", **options)
        if math.isinf(bounds[1]):
            self._node("Relu", [real], y)
        else:
            self._node("Clip", [real, *(self._keep(np.array(b, np.float32)) for b in bounds)], y)

    def _windowed(self, call: tflite.Call, kind: str, kernel: tuple[int, int], constants: list[str], **options) -> None:
        """An operator that ONNX has channels first: between two transposes."""
        self._channels(call)
        get, y = call.options, self.names[call.outputs[0]]
        strides = [get["StrideH"], get["StrideW"]]
        dilations = [get.get("DilationHFactor", 1), get.get("DilationWFactor", 1)]
        if not all(1 <= n <= 255 for n in (*kernel, *strides, *dilations)) or get["Padding"] not in (0, 1):
            raise self._unsupported("its window", "kernel, strides and dilations of 1 to 255 are supported")
        pads = [0, 0, 0, 0]
        if get["Padding"] == 0:
            sides = [ir.same_padding(*axis) for axis in zip(self._dims(call)[1:3], kernel, strides, dilations)]  # noqa: B905
            pads = [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]
        if kind == "Conv":
            options["dilations"] = dilations
        first = self._node("Transpose", [self._x(call)], f"{y}/first", perm=FIRST)
        window = {"kernel_shape": list(kernel), "strides": strides, "pads": pads}
        after = self._node(kind, [first, *constants], f"{y}/window", **window, **options)
        self._end(call, "Transpose", [after], perm=LAST)

    def _bias(self, call: tflite.Call, outputs: int) -> str:
        given = len(call.inputs) > 2 and call.inputs[2] >= 0
        return self._keep(self._constant(call, 2, "biases") if given else np.zeros(outputs, np.float32))

    def conv_2d(self, call: tflite.Call) -> None:
        w, channels = self._constant(call, 1, "weights"), self._channels(call)
        if w.ndim != 4 or channels % w.shape[3]:
            raise self._bad(f"its weights have shape {list(w.shape)}, its input {self._dims(call)}")
        constants = [self._keep(w.transpose(0, 3, 1, 2)), self._bias(call, len(w))]
        self._windowed(call, "Conv", w.shape[1:3], constants, group=channels // w.shape[3])

    def depthwise_conv_2d(self, call: tflite.Call) -> None:
        w, channels = self._constant(call, 1, "weights"), self._channels(call)
        if w.ndim != 4 or w.shape[0] != 1 or w.shape[3] % channels:
            raise self._bad(f"its weights have shape {list(w.shape)}, its input {self._dims(call)}")
        constants = [self._keep(w.transpose(3, 0, 1, 2)), self._bias(call, w.shape[3])]
        self._windowed(call, "Conv", w.shape[1:3], constants, group=channels)

    def average_pool_2d(self, call: tflite.Call) -> None:
        self._windowed(call, "AveragePool", (call.options["FilterHeight"], call.options["FilterWidth"]), [])

    def max_pool_2d(self, call: tflite.Call) -> None:
        self._windowed(call, "MaxPool", (call.options["FilterHeight"], call.options["FilterWidth"]), [])

    def fully_connected(self, call: tflite.Call) -> None:
        w, y = self._constant(call, 1, "weights"), self.names[call.outputs[0]]
        if call.options["WeightsFormat"] != 0 or w.ndim != 2:
            raise self._unsupported("its weights are shuffled", "export with the default weights format")
        count = int(np.prod(self._dims(call)))
        if count != w.shape[1]:
            raise self._unsupported(
                f"a dense layer applied to each of {count // w.shape[1]} positions", "use a 1 x 1 convolution there"
            )
        flat = self._node("Reshape", [self._x(call), self._keep(np.array([1, count]))], f"{y}/flat")
        self._end(call, "Gemm", [flat, self._keep(w), self._bias(call, len(w))], transB=1)

    def mean(self, call: tflite.Call) -> None:
        rank = len(self._dims(call))
        axes = sorted({int(axis) % rank for axis in self._constant(call, 1, "axes").reshape(-1)})
        keep = len(self.records[call.outputs[0]].shape) == rank
        self._end(call, "ReduceMean", [self._x(call)], axes=axes, keepdims=int(keep))

    def arithmetic(self, call: tflite.Call) -> None:
        if len(call.inputs) != 2 or min(call.inputs) < 0:
            raise self._bad("it needs two inputs")
        self._end(call, call.name.capitalize(), [self._x(call, 0), self._x(call, 1)])

    def pad(self, call: tflite.Call) -> None:
        amounts = self._constant(call, 1, "amounts")
        if amounts.shape != (len(self._dims(call)), 2):
            raise self._bad(f"its amounts have shape {list(amounts.shape)}")
        inputs = [self._x(call), self._keep(np.ascontiguousarray(amounts.T.reshape(-1)))]
        if len(call.inputs) > 2 and call.inputs[2] >= 0:
            inputs.append(self._keep(self._constant(call, 2, "value").reshape(())))
        self._end(call, "Pad", inputs)

    def softmax(self, call: tflite.Call) -> None:
        x, beta = self._x(call), float(call.options["Beta"])
        if beta != 1.0:
            x = self._node("Mul", [x, self._keep(np.array(beta, np.float32))], f"{self.names[call.outputs[0]]}/beta")
        self._end(call, "Softmax", [x], axis=-1)

    def reshape(self, call: tflite.Call) -> None:
        target = self._shape(self.records[call.outputs[0]])
        self._end(call, "Reshape", [self._x(call), self._keep(np.array(target, np.int64))])

    def relu(self, call: tflite.Call) -> None:
        self._end(call, "Identity", [self._x(call)], {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}[call.name])

    def dequantize(self, call: tflite.Call) -> None:
        """Of weights that are stored smaller: known already."""
        values = self._constant(call, 0, "values")
        self.real[call.outputs[0]] = values.astype(np.float32)


TRANSLATIONS = {
    "CONV_2D": _Translation.conv_2d,
    "DEPTHWISE_CONV_2D": _Translation.depthwise_conv_2d,
    "FULLY_CONNECTED": _Translation.fully_connected,
    "AVERAGE_POOL_2D": _Translation.average_pool_2d,
    "MAX_POOL_2D": _Translation.max_pool_2d,
    "MEAN": _Translation.mean,
    "ADD": _Translation.arithmetic,
    "SUB": _Translation.arithmetic,
    "MUL": _Translation.arithmetic,
    "DIV": _Translation.arithmetic,
    "PAD": _Translation.pad,
    "PADV2": _Translation.pad,
    "RELU": _Translation.relu,
    "RELU6": _Translation.relu,
    "RELU_N1_TO_1": _Translation.relu,
    "SOFTMAX": _Translation.softmax,
    "RESHAPE": _Translation.reshape,
    "SQUEEZE": _Translation.reshape,
    "EXPAND_DIMS": _Translation.reshape,
    "DEQUANTIZE": _Translation.dequantize,
}
