"""Small .tflite models made by hand, and what LiteRT's reference kernels make of them: for tests and comparisons.

Needs ai-edge-litert.

model = Builder()
x = model.activation((1, 8, 8, 3), scale=0.1, zero_point=-4)
w = model.constant(weights, scale=[...], axis=0)
y = model.activation((1, 8, 8, 16), scale=0.2, zero_point=7)
model.operator("CONV_2D", [x, w], [y], Padding="SAME", StrideW=1, StrideH=1)
answer = reference(model.build([x], [y]), x_values)
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {"int8": "INT8", "uint8": "UINT8", "int32": "INT32", "float32": "FLOAT32"}
# operator -> its options table, where it has one
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "SOFTMAX": "SoftmaxOptions",
    "RESHAPE": "ReshapeOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
}
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "SOFTMAX": 2, "QUANTIZE": 2}
ENUMS = {"Padding": schema.Padding, "FusedActivationFunction": schema.ActivationFunctionType}


class Builder:
    """One subgraph. Tensors and operators are numbered as they are made; `build` gives the file."""

    def __init__(self) -> None:
        self.tensors: list[schema.TensorT] = []
        self.buffers = [schema.BufferT()]  # buffer 0 is TFLite's empty one
        self.operators: list[schema.OperatorT] = []
        self.codes: list[schema.OperatorCodeT] = []

    def activation(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        dtype: str = "int8",
        axis: int = 0,
        name: str = "",
    ) -> int:
        """A tensor without data. shape has the batch in front. Its index."""
        tensor = schema.TensorT()
        tensor.name = (name or f"t{len(self.tensors)}").encode()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, TYPES[dtype])
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(s) for s in np.atleast_1d(scale)]
            tensor.quantization.zeroPoint = [int(zero_point)] * len(tensor.quantization.scale)
            tensor.quantization.quantizedDimension = axis
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data: np.ndarray, scale=None, zero_point: int = 0, axis: int = 0, name: str = "") -> int:
        """A tensor with data; `scale` may hold one per index of `axis`. Its index."""
        index = self.activation(data.shape, scale, zero_point, str(data.dtype), axis, name)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.buffers.append(buffer)
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def operator(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options) -> None:
        """Append an operator; options by the schema's names, enums by theirs. -1 is an input left out."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if name in OPTIONS:
            table = getattr(schema, OPTIONS[name] + "T")()
            for key, value in options.items():
                field = key[0].lower() + key[1:]
                if not hasattr(table, field):
                    raise AttributeError(f"{OPTIONS[name]} has no field {key}")
                setattr(table, field, getattr(ENUMS[key], value) if key in ENUMS else value)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[name])
            operator.builtinOptions = table
        self.operators.append(operator)

    def _code(self, name: str) -> int:
        number = getattr(schema.BuiltinOperator, name)
        for index, code in enumerate(self.codes):
            if code.builtinCode == number:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.version = VERSIONS.get(name, 1)
        self.codes.append(code)
        return len(self.codes) - 1

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The model as a .tflite file's bytes."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.description = 3, b"made by a test"
        model.subgraphs, model.buffers, model.operatorCodes = [graph], self.buffers, self.codes
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def reference(model: bytes, *inputs: np.ndarray) -> np.ndarray:
    """What LiteRT's reference kernels answer: the first output."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
