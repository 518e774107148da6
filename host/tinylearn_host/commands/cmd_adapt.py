"""`tinylearn adapt`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import flash, samples, streaming, tlm
from tinylearn_host.commands.options import (
    SIMULATOR,
    board_options,
    json_option,
    open_board,
    print_json,
    progress_bar,
)
from tinylearn_host.device import kb
from tinylearn_host.errors import USAGE, TinylearnError

METHODS = ("prototype", "closed_form", "last_layer")


@click.command("adapt")
@click.argument("model", type=click.Path(path_type=Path))
@board_options
@click.option(
    "--support", required=True, type=click.Path(path_type=Path), help="What to teach: .npz with x [N,H,W,C], y [N]."
)
@click.option(
    "--query", required=True, type=click.Path(path_type=Path), help="What to ask afterwards: the same kind of file."
)
@click.option(
    "--method", type=click.Choice(METHODS), default="prototype", show_default=True, help="How the board learns."
)
@click.option("--steps", type=click.IntRange(1), help="Training steps (last_layer).")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Learning rate (last_layer).")
@click.option("--save", is_flag=True, help="Keep it on the board, where it is still known after a power cut.")
@json_option
def command(model, board, port, transport, support, query, method, steps, rate, save, as_json) -> None:
    """Teach MODEL new classes, on the board, and measure what it learned.

    Flashes if needed, streams the support examples over serial, adapts on the board, then asks it about every query.
    x: uint8 pixels, int8 as the model takes it, or float32. "Before" is the model as it came where it has those
    classes, else chance; what was saved on the board plays no part. Seconds are the board's own, the serial link not
    counted. --board sim needs no board.
    """
    if save and board == SIMULATOR:
        raise TinylearnError("the simulator runs in this process and keeps nothing: --save needs a board", USAGE)
    taught, asked = samples.load(support), samples.load(query)
    streaming.check(tlm.read(model), taught, asked)
    with open_board(board, port, transport) as link, progress_bar() as show:
        outcome = adapt_on(link, model, taught, asked, show, method=method, steps=steps, rate=rate, save=save)
    if as_json:
        print_json({"board": board, "method": method, "model": str(model), **outcome.as_json()})
        return
    before = "" if outcome.before else " (chance: the model does not know these classes)"
    print(f"accuracy before   {outcome.accuracy_before:7.1%}{before}")
    print(f"accuracy after    {outcome.accuracy_after:7.1%}  of {len(asked)} queries")
    where = "in the simulator" if link is None else "on the board"
    print(f"adapting          {outcome.seconds:7.3f} s {where}, {len(taught)} examples, {method}")
    print(f"one query         {outcome.predict_seconds / len(asked) * 1000:7.1f} ms")
    print(f"arena             {kb(outcome.arena_bytes):>10}")
    if outcome.peak_heap_bytes is not None:
        print(f"peak heap         {kb(outcome.peak_heap_bytes):>10}  tinylearn itself: {kb(outcome.code_heap_bytes)}")


def adapt_on(link, model: Path, support, query, show, **options) -> streaming.Outcome:
    """Flash if needed, then adapt and ask; `show(what, done, total)` follows it."""
    if link is not None:
        flash.flash(link, model, show)
    counts = {"before": 0, "taught": 0, "after": 0}
    totals = {"before": len(query), "taught": len(support), "after": len(query)}
    names = {"before": "asking, untaught", "taught": "teaching", "after": "asking"}

    def watch(event: str, values: tuple) -> None:
        if event in counts:
            counts[event] += 1
            show(names[event], counts[event], totals[event])
        elif event == "step" and len(values) >= 2:
            show("training", values[0], values[1])

    return streaming.adapt(link, model, flash.MODEL, support, query, watch=watch, **options)
