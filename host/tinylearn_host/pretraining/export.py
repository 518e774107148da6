"""From a trained network to files: float ONNX, and the board's .tlm with what the board must know beside it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tinylearn_host import front, quantizing, tlm


def export(net: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """The float network for pictures [channels, h, w] as ONNX, batch normalisation folded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called the old one
        names = {"input_names": ["picture"], "output_names": ["features"]}
        torch.onnx.export(net, torch.zeros(1, *shape), str(path), dynamo=False, opset_version=17, **names)


def convert(
    onnx: Path,
    samples: np.ndarray,
    path: Path,
    *,
    domain: str,
    labels: list[str] | None = None,
    section: bytes | None = None,
    advice: dict | None = None,
) -> tlm.Model:
    """Float ONNX to the board's file. No value seen in calibration is clipped: users will show what nobody has seen.

    samples:    pictures to calibrate on, 0 .. 1 [N, h, w, channels]
    domain:     what they are, for META (docs/SPEC.md)
    section:    FRNT, where they come from a sensor (front.py)
    advice:     "augment" and "train" for META: how boards train it
    """
    pixels = np.rint(255 * samples).astype(np.uint8)
    result = quantizing.quantize(onnx, pixels, labels=labels, name=path.stem, method="min-max", quick=True)
    result.graph.meta.update({"domain": domain, **(advice or {})})
    model = result.model()
    if section:
        model = tlm.read(tlm.rewrite(model, {front.TAG: (section, 0)}))
    tlm.save(model, path)
    return model
