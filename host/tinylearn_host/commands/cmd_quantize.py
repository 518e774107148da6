"""`tinylearn quantize`."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from tinylearn_host import importers, quantize
from tinylearn_host.commands.cmd_run import load
from tinylearn_host.commands.options import json_option, print_json
from tinylearn_host.device import kb
from tinylearn_host.errors import USAGE, TinylearnError


@click.command("quantize")
@click.argument("source", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The int8 .onnx to write.")
@click.option(
    "--calibration",
    required=True,
    type=click.Path(path_type=Path),
    help="Typical inputs: .npy [N, H, W, C], 100 or more.",
)
@click.option("--percentile", type=click.FloatRange(90, 100), help="Clip activations to this part of their values.")
@json_option
def command(source: Path, output: Path, calibration: Path, percentile: float | None, as_json: bool) -> None:
    """Quantise MODEL, a float .onnx, to int8, ready for `tinylearn convert`.

    Runs the calibration inputs through the model to find the range of every activation. float32 inputs are what the
    model was trained on; uint8 ones are pixels, which the model saw as 0 to 1: then boards take pixels as they are.
    Needs the extra [onnx]: pip install "tinylearn[onnx]"
    """
    if output.suffix != ".onnx":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .onnx", USAGE)
    samples, step = load(calibration), None
    if samples.dtype == np.uint8:
        samples, step = samples.astype(np.float32) / 255, quantize.PIXELS
    try:
        quantize.quantize(source, samples, output, input_step=step, percentile=percentile)
        graph = importers.load(output)
    except ModuleNotFoundError as error:
        raise importers.missing(error) from None
    if as_json:
        report = {"model": str(output), "operators": len(graph.ops), "samples": len(samples)}
        print_json({**report, "pixels": step is not None})
        return
    print(f"{source} -> {output}: {kb(output.stat().st_size)}, {len(graph.ops)} operators, {len(samples)} samples seen")
    print(f"next: tinylearn convert {output} -o {output.with_suffix('.tlm')}")
