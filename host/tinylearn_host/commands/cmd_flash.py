"""`tinylearn flash`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tinylearn_host import flash
from tinylearn_host.commands.options import SIMULATOR, board_options, json_option, open_board, print_json, progress_bar
from tinylearn_host.device import kb
from tinylearn_host.errors import USAGE, TinylearnError


@click.command("flash")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@board_options
@click.option("--dry-run", is_flag=True, help="Say what would be done; send nothing.")
@json_option
def command(model: Path | None, board: str, port: str | None, transport: str, dry_run: bool, as_json: bool) -> None:
    """Put tinylearn and MODEL (a .tlm; default: the glyph model) on a board.

    Checks that it fits before anything is sent, sends only files that differ, verifies each on the board, renames it
    last. Interrupted? Run it again. Afterwards, at the board's REPL: import tinylearn; tinylearn.adapt(samples)
    """
    if board == SIMULATOR:
        raise TinylearnError("the simulator runs in this process: there is nothing to flash", USAGE)
    model = model or flash.default_model()
    start = time.monotonic()
    with open_board(board, port, transport) as link:
        todo = flash.plan(link, model)
        if not as_json:
            _tell(todo, link.port, board)
        todo.check()
        if not dry_run:
            with progress_bar() as show:
                flash.carry_out(link, todo, show)
        seconds = time.monotonic() - start
        if as_json:
            head = {
                "board": board,
                "port": link.port,
                "model": str(model),
                "dry_run": dry_run,
                "seconds": round(seconds, 3),
            }
            print_json({**head, **todo.as_json()})
        else:
            print(f"{'Nothing was sent.' if dry_run else 'Flashed and verified.'} {seconds:.1f} s")


def _tell(todo: flash.Plan, port: str, board: str) -> None:
    print(f"{board} at {port}: {todo.device.describe()}")
    print(f"needs {kb(todo.heap_needed)} of heap, {kb(todo.flash_needed)} of flash; native modules: {todo.code}")
    for file in todo.send:
        print(f"  send    {kb(len(file.data)):>9}  {file.path}")
    for path in todo.stale:
        print(f"  remove             {path}")
    if todo.same:
        print(f"  {len(todo.same)} files ({kb(sum(len(file.data) for file in todo.same))}) are there already")
