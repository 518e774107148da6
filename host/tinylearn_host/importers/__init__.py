"""Model files of others, as graphs."""

from __future__ import annotations

from pathlib import Path

from tinylearn_host import ir
from tinylearn_host.errors import BAD_MODEL, TinylearnError


def load(path: Path) -> ir.Graph:
    """Read an int8 model by its suffix. Raises TinylearnError: 11 (not such a model, damaged), 12 (an operator)."""
    suffix = path.suffix.lower()
    if suffix == ".tflite":
        from tinylearn_host.importers import tflite

        return tflite.load(path)
    if suffix == ".onnx":
        from tinylearn_host.importers import onnx_qdq

        try:
            return onnx_qdq.load(path)
        except ModuleNotFoundError as error:
            raise missing(error) from None
    if suffix == ".tlm":
        raise TinylearnError(f"{path} is a .tlm already: flash it, run it or inspect it", BAD_MODEL)
    raise TinylearnError(f"{path}: a .tflite or .onnx model was expected", BAD_MODEL)


def missing(error: ModuleNotFoundError) -> TinylearnError:
    """What to say where an optional package is not there."""
    return TinylearnError(f'{error.name} is not installed: pip install "tinylearn[onnx]"')
