"""A float network as plain lists: ONNX nodes in order and their constants, one input, one output, a batch of one.

Reading takes what exporters leave in a file out of the way: a batch left open, old operator sets, functions, shape
arithmetic (ONNX Runtime folds it, and batch normalisation into convolutions with it).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError

OPSET, OLDEST = 17, 13  # older files are brought to OPSET; from OLDEST on there are scales per channel
OPEN_BATCH = "n"  # what the batch is called where a network is to run many samples at a time


@dataclass
class Network:
    """`nodes` are onnx.NodeProto in the order they run; every name is written once.

    shape:      of one sample as the network takes it: (c, h, w), (c, w) or (n,)
    shapes:     of every activation, the batch of 1 in front
    places:     name of a node, or of what it gives -> its index in the user's file
    """

    name: str
    source: str
    nodes: list
    constants: dict[str, np.ndarray]
    input: str
    shape: tuple[int, ...]
    output: str
    opset: int
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def readers(self) -> Counter:
        """How many times each name is read; the output once more."""
        count = Counter(name for node in self.nodes for name in node.input if name)
        count[self.output] += 1
        return count

    def where(self, node) -> str:
        """A node as a message names it: by its place in the user's file, where it has kept one."""
        place = self.places.get(node.name, self.places.get(node.output[0]))
        return where(self.source, node, place)

    def model(self, *, batch: int | str = 1, outputs: list[str] | None = None):
        """The network as an onnx.ModelProto. outputs: names of activations to give, in place of the output."""
        from onnx import TensorProto, helper, numpy_helper

        def value(name: str, shape) -> object:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        ends = outputs or [self.output]
        graph = helper.make_graph(
            self.nodes,
            self.name or "network",
            [value(self.input, [batch, *self.shape])],
            [value(name, [batch, *self.shapes[name][1:]]) for name in ends],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=min(10, helper.VERSION_TABLE[-1][1]))

    def with_constants(self, changed: dict[str, np.ndarray]) -> Network:
        return replace(self, constants={**self.constants, **changed})


def where(source: str, node, place: int | None) -> str:
    label = f'{node.op_type} "{node.name or node.output[0]}"'
    return f"{source}: node {label}" if place is None else f"{source}: node {place} ({label})"


def attributes(node) -> dict:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def read(path: Path):
    """The file as a checked onnx.ModelProto, functions inlined. Raises: exit code 11."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
        for node in model.graph.node:
            if any(isinstance(name, bytes) for name in (node.op_type, node.name, *node.input, *node.output)):
                raise ValueError("a name is not UTF-8")
        return onnx.inliner.inline_local_functions(model) if model.functions else model
    except OSError as error:
        raise TinylearnError(f"cannot read {path}: {error.strerror or error}", BAD_MODEL) from None
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        raise TinylearnError(f"{path} is damaged or no ONNX model ({_first_line(error)})", BAD_MODEL) from None


def is_quantised(model) -> bool:
    return any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node)


def from_model(model, source: str, name: str, numbered: bool = True) -> Network:
    """`model` (onnx.ModelProto, not changed) as a Network. Raises: exit codes 11, 12.

    numbered: whether its nodes are those of the user's file, so that messages may say which
    """
    import onnx

    nodes = list(enumerate(model.graph.node))
    places = {output: index for index, node in nodes for output in node.output}
    places.update({node.name: index for index, node in nodes if node.name})
    places = places if numbered else {}
    _one_sample(model, source)
    try:
        opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        if opset < OLDEST:
            model = onnx.version_converter.convert_version(model, OPSET)
        model = _folded(_batch_of_one(model))
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except StopIteration:
        raise TinylearnError(f"{source} names no ONNX operator set; export it again", BAD_MODEL) from None
    except Exception as error:  # ONNX Runtime and the C++ of onnx raise classes of their own, some of them RuntimeError
        raise TinylearnError(f"{source}: ONNX cannot work it out: {_first_line(error)}", BAD_MODEL) from None
    return _plain(model, source, name, places)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _one_sample(model, source: str) -> None:
    """Refuse what is not one float input with fixed sides, and one output."""
    from onnx import TensorProto

    constants = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    for what, values in (("input", inputs), ("output", model.graph.output)):
        if len(values) != 1:
            names = ", ".join(f'"{value.name}"' for value in values)
            raise TinylearnError(f"{source} has {len(values)} {what}s ({names}); one is supported", BAD_MODEL)
    kind, name = inputs[0].type.tensor_type, inputs[0].name
    if kind.elem_type != TensorProto.FLOAT:
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise TinylearnError(f'input "{name}" of {source} is {found}; export the model in float32', BAD_MODEL)
    dims = kind.shape.dim
    if any(not dim.dim_value for dim in dims[1:]):
        sides = ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
        raise TinylearnError(
            f'input "{name}" of {source} has the dynamic shape ({sides}); export with fixed sides', BAD_MODEL
        )
    if not 2 <= len(dims) <= 4:
        raise TinylearnError(
            f'input "{name}" of {source} has {len(dims)} dimensions; a batch of vectors, rows or images is supported',
            BAD_MODEL,
        )
    if dims[0].dim_value > 1:
        raise TinylearnError(f'input "{name}" of {source} is a batch of {dims[0].dim_value}; export with 1', BAD_MODEL)


def _batch_of_one(model):
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in [*fixed.graph.input, *fixed.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims):
            dims[0].dim_value = 1
    for value in fixed.graph.output:  # its sides are inferred again
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


def _folded(model):
    """Constants worked out, batch normalisation folded, no-ops gone: ONNX Runtime's basic optimisations."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        # Transposes stay where the exporter put them: there they tell which way the data lies. So do dense layers over
        # pixels, which would become a Gemm between two reshapes.
        onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["TransposeOptimizer", "MatMulAddFusion"],
        )
        return onnx.load(path)


def _plain(model, source: str, name: str, places: dict[str, int]) -> Network:
    from onnx import numpy_helper

    graph = model.graph
    constants = {initializer.name: numpy_helper.to_array(initializer) for initializer in graph.initializer}
    nodes = []
    for node in graph.node:
        values = attributes(node)
        if node.op_type == "Constant" and "value" in values:
            constants[node.output[0]] = numpy_helper.to_array(values["value"])
        else:
            nodes.append(node)
    shapes = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    entry = next(value.name for value in graph.input if value.name not in constants)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    network = Network(
        name, source, nodes, constants, entry, shapes[entry][1:], graph.output[0].name, opset, shapes, places
    )
    for node in nodes:
        for output in (n for n in node.output if n):
            if not all(shapes.get(output, (0,))):
                raise TinylearnError(
                    f"{network.where(node)}: the shape of what it gives is not known; export with fixed shapes",
                    UNSUPPORTED_OPERATOR,
                )
    return network
