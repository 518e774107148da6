"""`tinylearn push`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import keeping, tld
from tinylearn_host.commands.options import board_options, json_option, open_real_board, print_json


@click.command("push")
@click.argument("delta", type=click.Path(path_type=Path))
@board_options
@json_option
def command(delta: Path, board: str, port: str | None, transport: str, as_json: bool) -> None:
    """Give a board what another has learned: DELTA, a .tld that `tinylearn pull` wrote.

    It must belong to the model on the board, which checks it before it counts. It is one more save there, so that
    rollback() undoes it.
    """
    parsed = tld.read(delta)
    with open_real_board(board, port, transport) as link:
        slot = keeping.push(link, parsed)
    if as_json:
        print_json({"board": board, "delta": str(delta), "slot": slot, **tld.summary(parsed)})
    else:
        print(f"{board} now knows {tld.describe(parsed)}")
