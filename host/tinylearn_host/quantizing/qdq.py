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

from tinylearn_host.quantizing import steps
from tinylearn_host.quantizing.network import Network
from tinylearn_host.quantizing.ranges import Range

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

    given = {node.output[0]: SOFTMAX for node in network.nodes if node.op_type == "Softmax"}
    if input_step is not None:
        given[network.input] = input_step
    overrides = _overrides(steps.choose(network, ranges, given))
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


def _overrides(chosen: steps.Steps) -> dict[str, list[dict]]:
    """As the quantiser wants them: of an activation one, of weights one per output channel."""

    def override(scale: float, zero_point: int, **more) -> dict:
        return {"scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, np.int8), **more}

    found = {name: [override(*step)] for name, step in chosen.activations.items()}
    found.update({name: [override(scale, 0, axis=0) for scale in all_] for name, all_ in chosen.weights.items()})
    return found


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
