"""`tinylearn demo`, which is what `make demo` runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinylearn_host import digits, flash
from tinylearn_host.commands.cmd_adapt import adapt_on
from tinylearn_host.commands.options import board_options, json_option, open_board, print_json, progress_bar
from tinylearn_host.device import kb
from tinylearn_host.streaming import Outcome, same

WAYS, SHOTS, SEED = 10, 5, 1
SHADES = " ░▒▓█"


@click.command("demo")
@board_options
@click.option(
    "--queries", default=25, show_default=True, type=click.IntRange(1, 100), help="Digits to ask about, per class."
)
@json_option
def command(board: str, port: str | None, transport: str, queries: int, as_json: bool) -> None:
    """Teach a board ten classes it has never seen: handwritten digits, five examples each.

    The network that is flashed was trained on the letters of other alphabets. The board learns the digits from the
    examples that come over its serial port, alone, and is then asked about others.
    """
    model = flash.default_model()
    support, query = digits.task(SHOTS, queries, SEED)
    if not as_json:
        print(
            f"{model.name} ({kb(model.stat().st_size)}), trained on other alphabets, goes to {board}; knows no digit."
        )
        print(f"The board is taught {WAYS} digits by {SHOTS} examples each, then asked about {len(query)} others.")
    start = time.monotonic()
    with open_board(board, port, transport) as link, progress_bar() as show:
        follow = show if as_json else _forecast(show, len(support) + len(query))
        outcome = adapt_on(link, model, support, query, follow, method="prototype")
    wall = time.monotonic() - start
    if as_json:
        print_json(
            {
                "board": board,
                "method": "prototype",
                "wall_seconds": round(wall, 3),
                **outcome.as_json(),
                **_per_class(outcome),
            }
        )
    else:
        _print(Console(), board, outcome, wall)


def _forecast(show: Callable, examples: int) -> Callable:
    """`show`, which also says after five examples how long all will take, where that is worth saying."""
    starts: list[float] = []

    def follow(what: str, done: int, total: int) -> None:
        show(what, done, total)
        if what == "teaching" and done in (1, 6):
            starts.append(time.monotonic())
            if done == 6 and (seconds := (starts[1] - starts[0]) / 5 * (examples - 6)) > 10:
                print(f"This board will need about {seconds:.0f} s for all of them.", flush=True)

    return follow


def _per_class(outcome: Outcome) -> dict:
    truth = np.array(outcome.query.y)
    right = np.array([same(p, y) for p, y in zip(outcome.after, truth, strict=True)])
    return {"accuracy_per_class": {str(k): round(float(right[truth == k].mean()), 4) for k in range(WAYS)}}


def _print(console: Console, board: str, outcome: Outcome, wall: float) -> None:
    table = Table("digit", *map(str, range(WAYS)), "all", title="Recognised, in per cent")
    per_class = _per_class(outcome)["accuracy_per_class"].values()
    table.add_row("before", *["·"] * WAYS, f"{outcome.accuracy_before:.1%}", style="dim")
    table.add_row("after", *(f"{100 * a:.0f}" for a in per_class), f"{outcome.accuracy_after:.1%}", style="bold")
    console.print(table)
    console.print(Columns(_gallery(outcome), padding=(0, 2)))
    console.print(
        f"{board}: learned in {outcome.seconds:.2f} s of its own time, then "
        f"{1000 * outcome.predict_seconds / len(outcome.after):.1f} ms per answer.\n"
        f"RAM: arena {kb(outcome.arena_bytes)}{_heap(outcome)}. {wall:.1f} s in all.",
        highlight=False,
    )


def _heap(outcome: Outcome) -> str:
    return f", all of the heap in use {kb(outcome.peak_heap_bytes)} at most" if outcome.peak_heap_bytes else ""


def _gallery(outcome: Outcome, most: int = 10) -> list[Text]:
    """Some of what the board saw, with what it said: mistakes first, at most three, then one of each class."""
    wrong = [i for i, (p, y) in enumerate(zip(outcome.after, outcome.query.y, strict=True)) if not same(p, y)]
    first = {y: i for i, y in reversed(list(enumerate(outcome.query.y))) if i not in wrong}
    chosen = sorted(
        wrong[:3] + [i for _, i in sorted(first.items())][: most - len(wrong[:3])], key=lambda i: outcome.query.y[i]
    )
    return [_picture(outcome, i) for i in chosen]


def _picture(outcome: Outcome, i: int) -> Text:
    """One image in characters, 14 wide and 7 high, over what the board said of it."""
    pixels = outcome.query.x[i].reshape(7, 4, 14, 2).mean((1, 3))
    lines = ["".join(SHADES[min(int(p) * len(SHADES) // 256, len(SHADES) - 1)] for p in row) for row in pixels]
    truth, said = outcome.query.y[i], outcome.after[i]
    right = same(said, truth)
    verdict = f"{said} ✓ {outcome.confidence[i]:.0%}" if right else f"{said} ✗ it is {truth}"
    return Text("\n".join([*lines, verdict, ""]), style="green" if right else "bold red", no_wrap=True)
