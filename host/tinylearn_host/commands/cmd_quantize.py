"""`tinylearn quantize`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from tinylearn_host import importers, quantizing, tlm
from tinylearn_host.commands.converting import make, model_options, read_labels
from tinylearn_host.commands.options import json_option, print_json, progress_bar
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.quantizing import report as reports
from tinylearn_host.quantizing.ranges import METHODS


@click.command("quantize")
@click.argument("source", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tlm, or QDQ .onnx, to write."
)
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    help="Typical inputs, 100 or more, of every kind: .npz with x [N, H, W, C] (and y [N]), or .npy.",
)
@click.option("--validate", type=click.Path(path_type=Path), help="Inputs like the real ones, x and y, to compare on.")
@click.option(
    "--pixels",
    default="0,1",
    show_default=True,
    metavar="LOW,HIGH",
    help="What the model was trained to see for a pixel of 0 and of 255, where x is uint8.",
)
@click.option("--ranges", "method", type=click.Choice(list(METHODS)), help="Ranges of activations; else the best.")
@click.option("--quick", is_flag=True, help="Take min-max ranges, or those given, and try nothing else.")
@click.option("--report", type=click.Path(path_type=Path), help="Draw the layers into this .html or .svg.")
@model_options
@json_option
def command(
    source: Path,
    output: Path,
    calibrate: Path | None,
    validate: Path | None,
    pixels: str,
    method: str | None,
    quick: bool,
    report: Path | None,
    as_json: bool,
    **wishes,
) -> None:
    """Quantise MODEL, a float .onnx or .tflite, to int8, and write it as a .tlm that a board can use.

    The calibration inputs show what values its layers take. float32 inputs are what the model was trained on; uint8
    ones are pixels, and then boards take pixels as they are. Several ways to int8 are tried, and the one whose answers
    come closest to the float model's is kept. A quantised (QDQ) .onnx is taken as it is.
    Says how good the int8 model is, layer by layer. Needs the extra [onnx]: pip install "tinylearn[onnx]"
    """
    if output.suffix not in (".tlm", ".onnx"):
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm or .onnx", USAGE)
    if report is not None:
        reports.check_path(report)
    labels = read_labels(wishes["labels"]) if wishes["labels"] is not None else None
    with progress_bar() as show:
        result = _quantise(source, calibrate, validate, labels, _pair(pixels), (method, quick), show)
    made = make(result.graph, **wishes)
    if report is not None:
        reports.save(result, report, f"{source.name} in int8")
    if output.suffix == ".tlm":
        tlm.save(made.model, output)
    else:
        result.save(output)
    if as_json:
        print_json({**made.as_json(output), "quantisation": reports.as_json(result)})
        return
    _print(result, made.lines(source, output), report)


def _quantise(source, calibrate, validate, labels, pixels, how, show) -> quantizing.Quantised:
    options = {"validate": validate, "labels": labels, "pixels": pixels, "watch": show}
    try:
        return quantizing.quantize(source, calibrate, method=how[0], quick=how[1], **options)
    except ModuleNotFoundError as error:
        raise importers.missing(error) from None


def _pair(pixels: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in pixels.split(","))
    except ValueError:
        raise TinylearnError(f'--pixels is "{pixels}"; two numbers were expected, as in -1,1', USAGE) from None
    return low, high


def _print(result: quantizing.Quantised, lines: list[str], report: Path | None) -> None:
    console = Console(highlight=False)
    reports.show(result, console)
    for line in [*reports.tried(result), *reports.sentences(result), *lines]:
        console.print(line, markup=False, soft_wrap=True)
    for note in [*result.notes, *reports.narrow(result)]:
        console.print(f"note: {note}", markup=False, soft_wrap=True, style="yellow")
    if result.calibration and not result.validation:
        console.print("with --validate it would be seen whether the calibration set was wide enough", style="dim")
    if report is not None:
        console.print(f"drawn in {report}", markup=False)
