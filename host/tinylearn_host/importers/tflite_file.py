"""A .tflite as plain records, and a walk over its operators: what int8 and float files have in common.

A damaged file fails while it is read, and only then. The schema comes from the `tflite` package: generated code on
flatbuffers alone, where the runtime that also carries a schema weighs over 100 MB; the format only grows, so an older
schema reads newer files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host import quantization
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.importers.places import Walk

# What generated flatbuffer code raises when offsets or lengths lead out of the file.
DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, KeyError, MemoryError)

_WINDOW = ("Padding", "StrideH", "StrideW", "FusedActivationFunction")
OPTIONS = {
    "CONV_2D": ("Conv2DOptions", (*_WINDOW, "DilationHFactor", "DilationWFactor")),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_WINDOW, "DilationHFactor", "DilationWFactor")),
    "AVERAGE_POOL_2D": ("Pool2DOptions", (*_WINDOW, "FilterHeight", "FilterWidth")),
    "MAX_POOL_2D": ("Pool2DOptions", (*_WINDOW, "FilterHeight", "FilterWidth")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "SUB": ("SubOptions", ("FusedActivationFunction",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "DIV": ("DivOptions", ("FusedActivationFunction",)),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
}
ACTIVATIONS = {0: quantization.NONE, 1: quantization.RELU, 2: quantization.RELU_N1_TO_1, 3: quantization.RELU6}
SHAPE_ARITHMETIC = {"SHAPE", "STRIDED_SLICE", "PACK", "GATHER", "CONCATENATION", "REDUCE_PROD", "CAST"}

HELP = {
    "recurrent layers have no kernel: use convolutions over time": "LSTM RNN WHILE CALL_ONCE IF VAR_HANDLE SVDF",
    "train again with ReLU or ReLU6 in its place": "HARD_SWISH LOGISTIC TANH LEAKY_RELU PRELU ELU GELU",
    "fold the batch normalisation into its convolution when exporting": "MUL SUB DIV RSQRT",
    "export the model with channels last, so that nothing is transposed": "TRANSPOSE",
    "build the model from chains of layers and residual additions": "CONCATENATION SPLIT PACK UNPACK GATHER",
    "end the model at the logits and let the host post-process": "ARG_MAX TOPK_V2 LOG_SOFTMAX",
}


@dataclass
class Record:
    """A tensor as the file has it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    data: bytes
    sparse: bool


@dataclass
class Call:
    """An operator as the file has it; inputs and outputs are tensor indices, -1 where one is left out."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: dict = field(default_factory=dict)


@dataclass
class Contents:
    records: list[Record]
    calls: list[Call]
    inputs: list[int]
    outputs: list[int]
    description: str


def contents(path: Path) -> Contents:
    """The file as plain records. Raises: exit code 11."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TinylearnError(f"cannot read {path}: {error.strerror}", BAD_MODEL) from None
    if raw[4:8] != b"TFL3":
        raise TinylearnError(f"{path} is not a TensorFlow Lite model: it lacks the mark TFL3 at byte 4", BAD_MODEL)
    try:
        return _read(raw)
    except DAMAGE as error:
        raise TinylearnError(
            f"{path} is damaged or cut short ({len(raw)} bytes): its tables point outside the file ({error})", BAD_MODEL
        ) from None


# ---- The file ------------------------------------------------------------------------------------------------------


def _read(raw: bytes) -> Contents:
    import tflite  # 187 generated modules: imported only when a .tflite is read

    model = tflite.Model.GetRootAsModel(raw, 0)
    if model.SubgraphsLength() < 1:
        raise ValueError("no subgraph")
    builtin = {code: name for name, code in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
    types = {code: name for name, code in vars(tflite.TensorType).items() if not name.startswith("_")}
    subgraph = model.Subgraphs(0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    codes = [_operator_name(model.OperatorCodes(i), builtin) for i in range(model.OperatorCodesLength())]
    records = [_record(subgraph.Tensors(i), buffers, types) for i in range(subgraph.TensorsLength())]
    calls = [_call(subgraph.Operators(i), codes, tflite) for i in range(subgraph.OperatorsLength())]
    inputs, outputs = _ints(subgraph.InputsAsNumpy()), _ints(subgraph.OutputsAsNumpy())
    for index in [*inputs, *outputs, *(i for call in calls for i in (*call.inputs, *call.outputs) if i != -1)]:
        if not 0 <= index < len(records):
            raise ValueError(f"tensor {index} of {len(records)}")
    return Contents(records, calls, inputs, outputs, _text(model.Description()))


def _ints(vector) -> list[int]:
    """The generated code gives 0 for a vector that is not there."""
    return [] if isinstance(vector, int) else [int(value) for value in vector]


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _operator_name(code, builtin: dict[int, str]) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin.get(number) == "CUSTOM":
        return f"custom operator {_text(code.CustomCode())}"
    return builtin.get(number, f"operator code {number}")


def _record(tensor, buffers: list, types: dict[int, str]) -> Record:
    quantization_table = tensor.Quantization()
    scales, zero_points, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if quantization_table is not None and quantization_table.ScaleLength():
        scales = np.array(quantization_table.ScaleAsNumpy(), np.float32)
        zero_points = np.array(_ints(quantization_table.ZeroPointAsNumpy()) or [0] * len(scales), np.int64)
        axis = quantization_table.QuantizedDimension()
    buffer = buffers[tensor.Buffer()]
    data = b"" if buffer.DataIsNone() else bytes(buffer.DataAsNumpy())
    shape = tuple(_ints(tensor.ShapeAsNumpy()))
    return Record(
        name=_text(tensor.Name()),
        dtype=types.get(tensor.Type(), f"type {tensor.Type()}").lower(),
        shape=shape,
        signature=tuple(_ints(tensor.ShapeSignatureAsNumpy())) or shape,
        scales=scales,
        zero_points=zero_points,
        axis=axis,
        data=data,
        sparse=tensor.Sparsity() is not None,
    )


def _call(operator, codes: list[str], tflite) -> Call:
    call = Call(codes[operator.OpcodeIndex()], _ints(operator.InputsAsNumpy()), _ints(operator.OutputsAsNumpy()))
    if call.name in OPTIONS:
        kind, getters = OPTIONS[call.name]
        table, options = operator.BuiltinOptions(), getattr(tflite, kind)()
        if table is None or operator.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind):
            raise ValueError(f"{call.name} without its {kind}")
        options.Init(table.Bytes, table.Pos)
        call.options = {getter: getattr(options, getter)() for getter in getters}
    return call


def unique_names(records: list[Record]) -> list[str]:
    """Names may repeat or be empty in a .tflite; ours may not."""
    seen: set[str] = set()
    names = []
    for index, record in enumerate(records):
        name = record.name or f"tensor {index}"
        names.append(f"{name}#{index}" if name in seen else name)
        seen.add(name)
    return names


def hint(name: str, known) -> str:
    """What to do about an operator that is not among the `known`."""
    for words, operators in HELP.items():
        if any(word == name or (word in ("LSTM", "RNN") and word in name) for word in operators.split()):
            return words
    return f"tinylearn runs {', '.join(sorted(known))}"


# ---- Its meaning ---------------------------------------------------------------------------------------------------


class Translation(Walk):
    """A walk over the operators of `contents`. names: of its tensors"""

    def __init__(self, contents: Contents, name: str):
        self.contents, self.records, self.name = contents, contents.records, name
        self.names = unique_names(contents.records)

    def check_ends(self) -> None:
        for what, indices in (("input", self.contents.inputs), ("output", self.contents.outputs)):
            if len(indices) != 1:
                names = ", ".join(f'"{self.records[i].name}"' for i in indices)
                raise TinylearnError(f"the model has {len(indices)} {what}s ({names}); one is supported", BAD_MODEL)

    def walk(self, translations: dict) -> None:
        """Give each operator to its function: {operator: function(self, call)}."""
        for index, call in enumerate(self.contents.calls):
            first = self.records[call.outputs[0]].name if call.outputs else ""
            self.where = f'operator {index} ({call.name} "{first}")'
            self._translate(call, translations)

    def _translate(self, call: Call, translations: dict) -> None:
        outputs = [self.records[i] for i in call.outputs]
        if call.name in SHAPE_ARITHMETIC and all(record.dtype in ("int32", "int64") for record in outputs):
            return  # computes the target of a RESHAPE, which the output's own shape tells
        translate = translations.get(call.name)
        if translate is None:
            raise self._unsupported("not supported", hint(call.name, translations))
        if not call.inputs or call.inputs[0] < 0 or len(call.outputs) != 1 or call.outputs[0] < 0:
            raise self._bad("it lacks inputs or an output; the file is damaged")
        translate(self, call)
