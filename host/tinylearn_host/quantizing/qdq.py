"""Float network and ranges to QDQ ONNX int8 with TFLite's arithmetic, by ONNX Runtime's static quantiser.

int8 activations with a zero point, symmetric int8 weights with one scale per output channel, int32 biases, ReLU joined
with its layer. `importers.onnx_qdq` reads what comes out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinylearn_host.quantizing.network import Network
from tinylearn_host.quantizing.ranges import Range

MOST_BIAS = 2.0**29  # steps of a bias: the board's sums stay in an int32 with it
SOFTMAX = (1 / 256, -128)  # TFLite's own step of a softmax

# What a rewritten network holds.
OPERATORS = [
    *("Conv", "Gemm", "Add", "Relu", "Clip", "AveragePool", "MaxPool", "GlobalAveragePool"),
    *("ReduceMean", "Pad", "Reshape", "Softmax"),
]


def quantise(network: Network, ranges: dict[str, Range], input_step: tuple[float, int] | None = None):
    """`network` as QDQ int8, an onnx.ModelProto.

    ranges:      of every activation, the input's too
    input_step:  (scale, zero point) of the input, where it is given rather than measured
    """
    import onnx
    from onnxruntime import quantization as ort

    steps = {node.output[0]: SOFTMAX for node in network.nodes if node.op_type == "Softmax"}
    if input_step is not None:
        steps[network.input] = input_step
    overrides = {name: [_override(span, steps.get(name))] for name, span in ranges.items()}
    overrides.update(_roomy_weights(network, overrides))
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "quantised.onnx"
        ort.quantize_static(
            onnx.shape_inference.infer_shapes(network.model()),
            str(path),
            _Reader(network),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            activation_type=ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "TensorQuantOverrides": overrides,
                "ForceQuantizeNoInputCheck": True,  # a reshape or pool may come first
            },
        )
        return onnx.load(path)


def _override(span: Range, step: tuple[float, int] | None) -> dict:
    if step is not None:
        return {"scale": np.array(step[0], np.float32), "zero_point": np.array(step[1], np.int8)}
    return {"rmin": np.array(span[0], np.float32), "rmax": np.array(span[1], np.float32)}


def _roomy_weights(network: Network, overrides: dict) -> dict[str, list[dict]]:
    """Wider weight scales for channels whose bias would leave an int32 at x scale * weight scale.

    There the products hardly count beside the bias, so nothing is lost by coarser weights.
    """
    wider = {}
    for node in network.nodes:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        w, b = (network.constants[name].astype(np.float64) for name in node.input[1:])
        reach = np.abs(w).reshape(len(w), -1).max(1)
        needed = 127 * np.abs(b) / (_scale(overrides[node.input[0]][0]) * MOST_BIAS)
        if (needed > reach).any():
            ends = np.maximum(reach, needed).astype(np.float32)
            wider[node.input[1]] = [{"axis": 0, "symmetric": True, "rmin": -end, "rmax": end} for end in ends]
    return wider


def _scale(override: dict) -> float:
    return float(override.get("scale", (override.get("rmax", 0) - override.get("rmin", 0)) / 255))


def weights(model) -> dict[str, np.ndarray]:
    """{name of a Conv or Gemm: its quantised weights as reals} of a QDQ model."""
    from onnx import numpy_helper

    constants = {initializer.name: initializer for initializer in model.graph.initializer}
    writers = {node.output[0]: node for node in model.graph.node}
    reals = {}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            steps, scale = (numpy_helper.to_array(constants[name]) for name in writers[node.input[1]].input[:2])
            reals[node.name] = steps * scale.reshape(-1, *[1] * (steps.ndim - 1))
    return reals


def real_names(model) -> dict[str, str]:
    """{quantised activation: the one of the float network that it stands for} of what `quantise` gave."""
    # The quantiser renames what was the network's output.
    return {
        node.output[0]: node.input[0].removesuffix("_QuantizeLinear_Input")
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


def dequantised_names(model) -> dict[str, str]:
    """{quantised activation: the same in reals} of a QDQ model."""
    made = {node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    readers = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in made]
    return {node.input[0]: node.output[0] for node in readers}


class _Reader:
    """One blank sample: the quantiser insists on measuring, but the ranges are given."""

    def __init__(self, network: Network):
        self.feeds: Iterator[dict] = iter([{network.input: np.zeros((1, *network.shape), np.float32)}])

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


@contextlib.contextmanager
def _quiet():
    """The quantiser prints advice and collects statistics on stdout."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
