"""`tinylearn boards`."""

from __future__ import annotations

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tinylearn_host import boards
from tinylearn_host.commands.options import json_option, print_json


@click.command("boards")
@json_option
def command(as_json: bool) -> None:
    """List the boards: what each is, what is missing to use it here, which are plugged in."""
    rows = boards.status()
    if as_json:
        print_json(rows)
        return
    table = Table("board", "what it is", "code", "here", box=box.SIMPLE_HEAD)
    for row in rows:
        style = None if row["ready"] else "dim"
        table.add_row(row["name"], row["title"], row["arch"], _here(row), style=style)
    table.add_row("sim", "no board: the same code in this process", "-", "ready")
    Console().print(table)


def _here(row: dict) -> str:
    if row["ports"]:
        return "plugged in: " + ", ".join(row["ports"])
    if row["missing"]:
        return "missing: " + ", ".join(row["missing"])
    return "ready" if row["ready"] else "not plugged in"
