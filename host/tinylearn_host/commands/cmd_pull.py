"""`tinylearn pull`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import files, keeping, tld
from tinylearn_host.commands.options import board_options, json_option, open_real_board, print_json


@click.command("pull")
@board_options
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tld to write.")
@json_option
def command(board: str, port: str | None, transport: str, output: Path, as_json: bool) -> None:
    """Copy what a board has learned, its last save, to a .tld file on this computer."""
    with open_real_board(board, port, transport) as link:
        delta = keeping.pull(link)
    files.write(output, delta.raw)
    if as_json:
        print_json({"board": board, "output": str(output), **tld.summary(delta)})
    else:
        print(f"{output}: {tld.describe(delta)}")
