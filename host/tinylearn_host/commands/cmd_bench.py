"""`tinylearn bench`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host.bench import workloads
from tinylearn_host.bench.measure import Meter
from tinylearn_host.commands.options import board_options, json_option, print_json
from tinylearn_host.errors import USAGE, TinylearnError


@click.command("bench")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@board_options
@click.option("--only", default="", metavar="PATTERN", help="Names that begin so; * and ? as in file names.")
@json_option
def command(model: Path | None, board: str, port: str | None, transport: str, only: str, as_json: bool) -> None:
    """Measure layers, whole models and adaptations on a board; or an answer of MODEL.tlm and each of its operators.

    Cycles or instructions where the board can count them (docs/benchmarks.md), else seconds. A board that is plugged
    in is flashed with the default model; an emulated one starts afresh, and nothing of it stays. On this machine
    (unix, sim) LiteRT is measured, too, if it is installed.
    """
    chosen = workloads.choose(only, model)
    if not chosen:
        raise TinylearnError(f"nothing is called {only!r}; there are: {', '.join(workloads.names(model))}", USAGE)
    figures = []
    with Meter.opened(board, port, transport) as meter:
        meter.say_what_is_missing(chosen)
        for work in chosen:
            for figure in meter.figures(work):
                figures.append(figure.as_json())
                if not as_json:
                    print(figure.line(), flush=True)
    if as_json:
        print_json(figures)
