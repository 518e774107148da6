"""From a trained network to files: float ONNX, and the board's .tlm with what the board must know beside it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tinylearn_host import front, partition, quantizing, tlm

GROWTH = 0.25  # of the arena, for the scratch of faster kernels


def export(net: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """The float network for pictures [channels, h, w] as ONNX, batch normalisation folded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called the old one
        names = {"input_names": ["picture"], "output_names": ["features"]}
        torch.onnx.export(net, torch.zeros(1, *shape), str(path), dynamo=False, opset_version=17, **names)


def convert(onnx: Path, samples: np.ndarray, path: Path, meta: dict, section: bytes | None = None) -> tlm.Model:
    """Float ONNX to the board's file.

    samples:    pictures to calibrate on, float32 [N, h, w, channels] 0 .. 1
    meta:       what the file shall say about itself (docs/SPEC.md, META): "domain", "labels", ...
    section:    FRNT, where samples come from a sensor (front.py)
    """
    graph = quantizing.quantize(onnx, np.rint(255 * samples).astype(np.uint8)).graph  # pixels, as boards take them
    graph.meta.update(meta)
    model = partition.prepare(tlm.read(tlm.build(graph, growth=GROWTH)))
    if section:
        model = tlm.read(tlm.rewrite(model, {front.TAG: (section, 0)}))
    tlm.save(model, path)
    return model
