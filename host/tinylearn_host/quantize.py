"""Float ONNX to QDQ ONNX int8 with TFLite's arithmetic, by ONNX Runtime's static quantiser.

int8 activations with a zero point, symmetric int8 weights with one scale per output channel, int32 biases. Batch
normalisation is folded and ReLU joined with its layer on the way. `importers.onnx_qdq` reads what comes out.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, BAD_MODEL, TinylearnError

PIXELS = (1 / 255, -128)  # uint8 pixels 0..255 as reals 0..1: int8 input = pixel - 128

# What a graph of ours holds; the quantiser leaves everything else in float and the importer then names it.
OPERATORS = [
    *("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "AveragePool", "MaxPool", "GlobalAveragePool", "ReduceMean"),
    *("Pad", "Flatten", "Reshape", "Squeeze", "Unsqueeze"),
]


def quantize(
    model: str | Path,
    calibration: np.ndarray,
    output: str | Path,
    *,
    input_step: tuple[float, int] | None = None,
    percentile: float | None = None,
) -> None:
    """Write the float ONNX file `model` as a QDQ int8 file `output`.

    calibration:  float32 [N, H, W, C], [N, W, C] or [N, n] reals, as wide as what users will show, or that is clipped
    input_step:   (scale, zero point) of the input, where it is given rather than measured; see PIXELS
    percentile:   range of an activation = this percentage of its values, instead of all of them

    Raises TinylearnError: 11 where the model cannot be read, 13 where the calibration data does not fit it.
    """
    import onnx  # optional dependencies: the extra [onnx]
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name, shape = _input(model)
    samples = _channels_first(calibration, shape)
    options = {"ActivationSymmetric": False, "WeightSymmetric": True}
    if input_step is not None:
        scale, zero_point = input_step
        step = {"scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, np.int8)}
        options["TensorQuantOverrides"] = {name: [step]}
    if percentile is not None:
        options["CalibPercentile"] = percentile
    method = ort.CalibrationMethod.MinMax if percentile is None else ort.CalibrationMethod.Percentile
    with tempfile.TemporaryDirectory() as folder, _quiet():
        folded, quantised = Path(folder) / "folded.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(str(model), str(folded), skip_symbolic_shape=True)
        ort.quantize_static(
            str(folded),
            str(quantised),
            _Reader(name, samples),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            activation_type=ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=method,
            extra_options=options,
        )
        output = Path(output)
        temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
        onnx.save(onnx.load(quantised), temporary)
        os.replace(temporary, output)


def _input(model: str | Path) -> tuple[str, tuple[int, ...]]:
    """Name and shape without the batch of the model's one input."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(model).graph
    except (OSError, DecodeError) as error:
        raise TinylearnError(f"cannot read {model} as ONNX: {error}", BAD_MODEL) from None
    constants = {initializer.name for initializer in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise TinylearnError(f"{model} has {len(inputs)} inputs; one is supported", BAD_MODEL)
    sides = tuple(side.dim_value for side in inputs[0].type.tensor_type.shape.dim[1:])
    if not sides or not all(sides):
        raise TinylearnError(f'input "{inputs[0].name}" of {model} has a dynamic shape; export with fixed', BAD_MODEL)
    return inputs[0].name, sides


def _channels_first(samples: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[N, H, W, C] to [N, C, H, W], checked against the model's input."""
    samples, expected = np.asarray(samples, np.float32), (*shape[1:], shape[0])
    if samples.shape[1:] != expected:
        raise TinylearnError(f"calibration samples of {samples.shape[1:]}, the model takes {expected}", BAD_DATA)
    if not len(samples):
        raise TinylearnError("there are no calibration samples", BAD_DATA)
    if not np.isfinite(samples).all():
        bad = int(np.flatnonzero(~np.isfinite(samples.reshape(len(samples), -1)).all(1))[0])
        raise TinylearnError(f"calibration sample {bad} holds NaN or infinity", BAD_DATA)
    if samples.min() == samples.max():
        raise TinylearnError(f"all calibration samples are constant ({samples.min():g})", BAD_DATA)
    return np.ascontiguousarray(np.moveaxis(samples, -1, 1))


class _Reader:
    """The quantiser's way to ask for samples: one at a time, then None."""

    def __init__(self, name: str, samples: np.ndarray):
        self.feeds: Iterator[dict] = ({name: sample[None]} for sample in samples)

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


@contextlib.contextmanager
def _quiet():
    """The quantiser prints advice and collects statistics on stdout."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
