"""The same models in LiteRT on this machine, where it is installed (`pip install ai-edge-litert`)."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from tinylearn_host import ir
from tinylearn_host.on_board import stopwatch

NAMES = {
    ir.CONV2D: "CONV_2D",
    ir.DEPTHWISE_CONV2D: "DEPTHWISE_CONV_2D",
    ir.FULLY_CONNECTED: "FULLY_CONNECTED",
}
RESOLVERS = {"LiteRT reference": "BUILTIN_REF", "LiteRT": "BUILTIN"}  # BUILTIN: its default, with XNNPACK
MISSING = "LiteRT is not installed here, so nothing is compared with it: pip install ai-edge-litert"


def installed() -> bool:
    return find_spec("ai_edge_litert") is not None


def run(tflite: bytes, x: np.ndarray, kernels: str) -> tuple[float, bytes]:
    """(seconds of one call on one thread, its answer) with the kernels of one of RESOLVERS."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = getattr(OpResolverType, RESOLVERS[kernels])
    interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(source["index"], x.reshape(source["shape"]))
    interpreter.invoke()
    answer = interpreter.get_tensor(sink["index"]).tobytes()
    microseconds, calls = stopwatch.measure(interpreter.invoke)
    return microseconds / calls / 1e6, answer


def export(graph: ir.Graph) -> bytes:
    """A graph of one operator with weights as .tflite."""
    from tinylearn_host.bench.tflite_builder import Builder

    [op] = graph.ops
    x, w, b, y = (graph.tensors[name] for name in (op.inputs[0], op.weights, op.bias, op.output))
    dense = op.code == ir.FULLY_CONNECTED
    options = {} if dense else {"Padding": "SAME", "StrideH": op.attrs["stride"][0], "StrideW": op.attrs["stride"][1]}
    if op.code == ir.DEPTHWISE_CONV2D:
        options["DepthMultiplier"] = y.shape[2] // x.shape[2]
    model = Builder()
    source = model.activation((1, x.bytes) if dense else (1, *x.shape), x.scale, x.zero_point)
    weights = model.constant(w.data, w.scale, axis=3 if op.code == ir.DEPTHWISE_CONV2D else 0)
    bias = model.constant(b.data, b.scale)
    sink = model.activation((1, y.bytes) if dense else (1, *y.shape), y.scale, y.zero_point)
    model.operator(NAMES[op.code], [source, weights, bias], [sink], **options)
    return model.build([source], [sink])
