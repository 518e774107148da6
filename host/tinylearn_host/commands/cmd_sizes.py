"""`tinylearn sizes`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from tinylearn_host import boards, sizes, tlm
from tinylearn_host.commands.cmd_inspect import board_table
from tinylearn_host.commands.options import json_option, print_json


@click.command("sizes")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--board", "names", multiple=True, help="A board of `tinylearn boards`; may be given again. Default: all."
)
@json_option
def command(model: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Say what MODEL, a .tlm, needs on boards: heap, flash and time, and whether it fits.

    Reckoned from the board's file, without the board; ~ marks native modules that are not built here, whose size is
    taken to be 14 KB each. `tinylearn flash --dry-run` asks the board itself.
    """
    parsed = tlm.read(model)
    chosen = [boards.find(name) for name in names] or list(boards.load_all().values())
    fits = [sizes.fit(board, parsed) for board in chosen]
    if as_json:
        print_json({**sizes.summary(parsed), "boards": [fit.as_json() for fit in fits]})
        return
    Console(highlight=False).print(board_table(fits))
