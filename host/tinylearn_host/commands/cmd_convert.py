"""`tinylearn convert`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import fuse, importers, tlm
from tinylearn_host.commands.converting import make, model_options
from tinylearn_host.commands.options import json_option, print_json
from tinylearn_host.errors import USAGE, TinylearnError


@click.command("convert")
@click.argument("source", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tlm to write.")
@model_options
@json_option
def command(source: Path, output: Path, as_json: bool, **wishes) -> None:
    """Convert MODEL, an int8 .tflite or a quantised (QDQ) .onnx, into a .tlm that a board can use.

    The weights and the arithmetic stay as they are: the board answers with the very bits of TensorFlow Lite's
    reference kernels. What cannot be converted is refused by operator name and index, and then nothing is written.
    The file also says how the network can be trained, for which `tinylearn partition` shows the memory.
    For float models see `tinylearn quantize`.
    """
    if output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    made = make(fuse.pads_into_convolutions(importers.load(source)), **wishes)
    tlm.save(made.model, output)
    if as_json:
        print_json(made.as_json(output))
        return
    for line in made.lines(source, output):
        print(line)
