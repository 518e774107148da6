"""`tinylearn adapt`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import click

from tinylearn_host import adapt_report, curves, flash, samples, streaming, tlm
from tinylearn_host.commands.options import (
    SIMULATOR,
    Size,
    board_options,
    json_option,
    open_board,
    print_json,
    progress_bar,
)
from tinylearn_host.device import kb
from tinylearn_host.errors import BAD_MODEL, USAGE, TinylearnError

HEADS = ("prototype", "closed_form", "last_layer")
TAILS = ("bias", "scheme", "tinytrain", "full")  # methods that train weights of the network
CRITERIA = ("fisher", "both", "fisher/memory", "fisher/compute", "l2", "random")
SHARE = click.FloatRange(0, 1, min_open=True)
AUTO = "auto"
STEPWISE = ("last_layer", AUTO, *TAILS)


class Augment(click.ParamType):
    """Amounts by which views of a sample may differ: kind=amount, by commas; "none" for no views."""

    name = "kinds"

    def convert(self, value, param, ctx) -> dict | bool:
        if value == "none":
            return False
        pairs = [part.partition("=") for part in value.split(",")]
        if any(not (kind and amount) for kind, _, amount in pairs):
            self.fail(f"{value!r} is not kind=amount,...: say shift=2,rotate=10, or none", param, ctx)
        return {kind.strip(): self._amount(amount.strip()) for kind, _, amount in pairs}

    @staticmethod
    def _amount(text: str) -> float | list | str:
        try:
            return json.loads(f"[{text.replace('x', ',')}]") if "x" in text else json.loads(text)
        except ValueError:
            return text  # a border's name; the board knows which there are


class Rate(click.FloatRange):
    """A number above 0, or "find"."""

    name = "rate"

    def __init__(self):
        super().__init__(0, min_open=True)

    def convert(self, value, param, ctx) -> float | str:
        return value if value == "find" else super().convert(value, param, ctx)


def training_options(command: Callable) -> Callable:
    """What goes on to Model.adapt as it is; None is the board's to choose."""
    options = [
        click.option("--head", type=click.Choice((*HEADS, "auto")), help="Of the classes, on the trained network."),
        click.option("--steps", type=click.IntRange(1), help="Training steps, each over all examples."),
        click.option("--rate", type=Rate(), help="Learning rate; find: by trying some on the examples."),
        click.option("--seed", type=click.IntRange(0), help="Of all that is random: the same one gives the same bits."),
        click.option("--budget", type=Size(), help="RAM that training may take: 48K. It trains less until it fits."),
        click.option("--time-budget", type=click.FloatRange(0, min_open=True), help="Seconds that it may take."),
        click.option("--views", type=click.IntRange(0), help="Varied views of each example."),
        click.option("--width", type=click.Choice(["8", "16"]), callback=_number, help="Bits of the gradients."),
        click.option(
            "--augment", type=Augment(), help="How views vary: shift=2,rotate=10; none. Default: the model's."
        ),
        click.option(
            "--scheme", help="Which of the model's schemes (method scheme); `tinylearn partition` names them."
        ),
        click.option(
            "--cache",
            type=click.Choice(["ram", "flash", "recompute"]),
            help="Where what the frozen layers make of the examples is kept. Default: where it fits.",
        ),
        click.option("--layers", type=click.IntRange(1), help="How many of the last layers, at most."),
        click.option(
            "--filter",
            type=click.Choice(["2", "4"]),
            callback=_number,
            help="Sum gradients over patches of 2x2 or 4x4 pixels. Read the patent notice in docs/training.md first.",
        ),
        click.option(
            "--continual",
            flag_value="lightcl",
            help="One task more, after what --save has kept on the board, without forgetting that.",
        ),
        click.option(
            "--replay", "continual", flag_value="replay", help="The same with some samples of earlier tasks, in 8 KB."
        ),
        click.option("--ratio", type=SHARE, help="Share of a layer's channels (method tinytrain, as the following)."),
        click.option("--axis", type=click.Choice(["input", "output"]), help="Whose channels are chosen."),
        click.option("--criterion", type=click.Choice(CRITERIA), help="What makes a layer worth its training."),
        click.option("--compute", type=SHARE, help="Share of the work of going back through everything."),
    ]
    return functools.reduce(lambda f, option: option(f), reversed(options), command)


def _number(ctx, param, value: str | None) -> int | None:
    return None if value is None else int(value)


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
    "--method",
    type=click.Choice((AUTO, *HEADS, *TAILS)),
    default=AUTO,
    show_default=True,
    help="How the board learns: a head, or parts of the network and a head; auto: as its examples say.",
)
@training_options
@click.option("--save", is_flag=True, help="Keep it on the board, where it is still known after a power cut.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Save loss and accuracy over the steps: .png, .svg, .pdf."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Tell what was learned, draw what was chosen of the network, and why: an .html.",
)
@json_option
def command(model, board, port, transport, support, query, method, save, plot, report, as_json, **options) -> None:
    """Teach MODEL new classes, on the board, and measure what it learned.

    Flashes if needed, streams the support examples over serial, adapts on the board, then asks it about every query.
    x: uint8 pixels, int8 as the model takes it, or float32. "Before" is the model as it came where it has those
    classes, else chance; what was saved on the board plays no part, but with --continual, which goes on from there.
    Seconds are the board's own, the serial link not counted. --board sim needs no board.
    """
    if save and board == SIMULATOR:
        raise TinylearnError("the simulator runs in this process and keeps nothing: --save needs a board", USAGE)
    if plot:
        if method not in STEPWISE:
            raise TinylearnError(f"--plot shows steps, and method {method} has none: {', '.join(STEPWISE)} do", USAGE)
        curves.check(plot)
    if options["continual"] and method not in TAILS:
        raise TinylearnError(
            f"--continual is for methods that train the network: say --method {', '.join(TAILS)}, not {method}",
            USAGE,
        )
    taught, asked = samples.load(support), samples.load(query)
    streaming.check(tlm.read(model), taught, asked, bool(options["continual"]))
    _check_training(tlm.read(model), model, method, options["scheme"])
    with open_board(board, port, transport) as link, progress_bar() as show:
        outcome = adapt_on(link, model, taught, asked, show, method=method, save=save or None, **options)
    if plot and not outcome.steps:
        click.echo(f"Nothing was trained, so there is nothing for {plot}.", err=True)
    elif plot:
        curves.save(outcome.steps, plot, f"{model.name}, {method}, {len(taught)} examples")
    if report:
        adapt_report.save_html(report, outcome, tlm.read(model).name or model.name, board)
    if as_json:
        print_json({"board": board, "method": method, "model": str(model), **outcome.as_json()})
    else:
        _tell(outcome, link is None, len(taught), method)


def _check_training(model: tlm.Model, path: Path, method: str, scheme: str | None) -> None:
    """Raise exit code 11 or 2 where the model has not what the method trains: before a board is flashed."""
    names = [known.name for known in model.schemes]
    if method in TAILS and not (model.backward and (names or method != "scheme")):
        what = "says nothing of how to train it" if not model.backward else "has no scheme"
        raise TinylearnError(f"{path} {what}: `tinylearn partition {path} --board ... -o NEW.tlm` adds that", BAD_MODEL)
    if scheme is not None and scheme not in names:
        raise TinylearnError(f"{path} has no scheme {scheme!r}; there are {', '.join(names) or 'none'}", USAGE)


def _tell(outcome: streaming.Outcome, simulated: bool, taught: int, method: str) -> None:
    before = "" if outcome.before else " (chance: the model does not know these classes)"
    queries = len(outcome.after)
    print(f"accuracy before   {outcome.accuracy_before:7.1%}{before}")
    print(f"accuracy after    {outcome.accuracy_after:7.1%}  of {queries} queries")
    where = "in the simulator" if simulated else "on the board"
    print(f"adapting          {outcome.seconds:7.3f} s {where}, {taught} examples, {method}")
    if outcome.why:
        print(f"auto              {outcome.why}")
    if outcome.steps:
        losses = [step["loss"] for step in outcome.steps]
        print(
            f"loss              {losses[0]:7.3f} to {losses[-1]:.3f} in {len(losses)} steps  {curves.sparkline(losses)}"
        )
    for i, sentence in enumerate(outcome.trained["known"]):
        print(f"{'' if i else 'now':18}{sentence}")
    print(f"one query         {outcome.predict_seconds / queries * 1000:7.1f} ms")
    print(f"arena             {kb(outcome.arena_bytes):>10}")
    if outcome.peak_heap_bytes is not None:
        print(f"peak heap         {kb(outcome.peak_heap_bytes):>10}  tinylearn itself: {kb(outcome.code_heap_bytes)}")


def adapt_on(link, model: Path, support, query, show, **options) -> streaming.Outcome:
    """Flash if needed, then adapt and ask; `show(what, done, total, note)` follows it."""
    if link is not None:
        also = (flash.FILTER,) if options.get("filter") else ()
        flash.flash(link, model, show, trains=options.get("method") in TAILS, also=also)
    counts = {"before": 0, "taught": 0, "after": 0}
    totals = {"before": len(query), "taught": len(support), "after": len(query)}
    names = {"before": "asking, untaught", "taught": "teaching", "after": "asking"}
    losses: list[float] = []

    def watch(said: dict) -> None:
        event = said["event"]
        if event in counts:
            counts[event] += 1
            show(names[event], counts[event], totals[event])
        elif event == "step":
            losses.append(said["loss"])
            note = f"loss {said['loss']:.3f} {curves.sparkline(losses)} {said['accuracy']:.0%}"
            show("training", said["step"], said["steps"], note)
        elif event == "print":
            click.echo(said["text"], err=True)

    return streaming.adapt(link, model, flash.MODEL, support, query, watch=watch, **options)
