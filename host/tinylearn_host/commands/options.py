"""What the commands that talk to a board share: their options, the open board, the progress bar."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tinylearn_host import boards
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.transport import TRANSPORTS, Transport, connect

SIMULATOR = "sim"

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


class Size(click.ParamType):
    """Bytes: 98304, 96K or 1.5M."""

    name = "size"

    def convert(self, value, param, ctx) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KM]?)B?", value.strip().upper())
        size = int(float(match[1]) * {"": 1, "K": 1024, "M": 1024**2}[match[2]]) if match else 0
        if size < 1:
            self.fail(f"{value!r} is no number of bytes; write 98304, 96K or 1M", param, ctx)
        return size


def board_options(command: Callable) -> Callable:
    """--board, --port and --transport."""
    board = click.option("--board", required=True, help="A board of `tinylearn boards`.")
    port = click.option("--port", help="Its serial port, where it cannot be found or several match.")
    transport = click.option(
        "--transport",
        type=click.Choice(list(TRANSPORTS)),
        default="mpremote",
        show_default=True,
        help="What carries the link.",
    )
    return functools.reduce(lambda f, option: option(f), (transport, port, board), command)


@contextmanager
def open_board(board: str, port: str | None, transport: str) -> Iterator[Transport | None]:
    """The board, freshly reset; None for the simulator. An emulated board lives as long as the block."""
    if board == SIMULATOR:
        yield None
        return
    with boards.opened(board, port) as device, connect(device, transport) as link:
        yield link


@contextmanager
def open_real_board(board: str, port: str | None, transport: str) -> Iterator[Transport]:
    """The same for commands that mean nothing in the simulator, which keeps no files."""
    if board == SIMULATOR:
        raise TinylearnError("the simulator runs in this process and keeps nothing: name a board", USAGE)
    with open_board(board, port, transport) as link:
        yield link


@contextmanager
def progress_bar() -> Iterator[Callable[..., None]]:
    """A function of (what, done, total, note="") that draws a bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, int] = {}

        def show(what: str, done: int, total: int, note: str = "") -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total, note=note)
            progress.update(tasks[what], completed=done, note=note)

        yield show


def print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()
