"""`tinylearn partition`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinylearn_host import boards, flash, panels, partition, sizes, tlm, training_report
from tinylearn_host.boards import Board
from tinylearn_host.commands.options import SIMULATOR, Size, json_option, print_json
from tinylearn_host.device import kb
from tinylearn_host.errors import NOT_ENOUGH_RAM, USAGE, TinylearnError
from tinylearn_host.training_report import METHODS, Task, Training


@click.command("partition")
@click.argument("path", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="A board of `tinylearn boards`.")
@click.option("--ram", type=Size(), help="RAM that adapting may take: 96K. Default: what the board has left.")
@click.option(
    "--method", type=click.Choice(METHODS), default="scheme", show_default=True, help="What to show in detail."
)
@click.option("--scheme", help="One of the model's own schemes; by default one is made for the RAM.")
@click.option("--tail", type=click.IntRange(1), help="At most so many last layers (methods bias and full).")
@click.option("--width", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Bits of the gradients.")
@click.option("--ways", type=click.IntRange(2, 256), default=5, show_default=True, help="Classes to be taught.")
@click.option("--shots", type=click.IntRange(1, 1000), default=5, show_default=True, help="Examples of each.")
@click.option("--panels", "room", type=Size(), help="Arena that panels made once may take more: 48K. Goes with -o.")
@click.option("--report", type=click.Path(path_type=Path), help="Draw where every byte goes: an .html of its own.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the model, with the scheme made for the RAM, and with costs that are today's.",
)
@json_option
def command(path, board, ram, method, scheme, tail, width, ways, shots, room, report, output, as_json) -> None:
    """Say what training MODEL, a .tlm, takes on a board, and what of it fits.

    The tail of the network that is trained, the frozen rest, every byte of the arena over time, time per step: reckoned
    by the code that does it on the board. RAM is what `adapt(budget=)` counts: all that adapting takes beyond what is
    loaded. Where nothing fits, the exit code is 7 and the sentence has the numbers.
    """
    if output and output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    target = None if board == SIMULATOR else boards.find(board)
    model = prepared(tlm.read(path))
    if room:
        model = panels.keep(model, room)
    task = _task(model, target, ram, ways, shots)
    if scheme is None and task.budget:
        model, scheme = with_scheme(model, task)
    options = {"width": int(width), "layers": tail, "scheme": scheme}
    trainings = _fitting(model, task, target, options)
    chosen = next((t for t in trainings if t.method == method), None)
    if chosen is None:
        least = "bias" if method == "scheme" and not model.schemes else method  # of which no scheme could be made
        chosen = training_report.find(model, least, task, target, **options)  # says why not
    if output:
        tlm.save(model, output)
    if report:
        training_report.save_html(report, chosen, trainings, target, task)
    if as_json:
        print_json(training_report.as_json(chosen, trainings, target, task))
        return
    _tell(Console(highlight=False), path, chosen, trainings, target, task)
    if target and (task.budget or 0) > (fit := sizes.fit(target, model)).left_for_training:
        print(f"{_heap(fit)}, unless tinylearn is built into the firmware.")
    for written in filter(None, (report, output)):
        print(f"written: {written}")


def prepared(model: tlm.Model) -> tlm.Model:
    """The model with what training needs. Raises exit code 11 where nothing of it can be trained."""
    model = partition.renewed(model) if model.backward and model.schemes else partition.prepare(model)
    if not model.backward:
        raise TinylearnError(f"{model.name}: nothing of it can be trained; heads can be taught", USAGE)
    return model


def _task(model: tlm.Model, board: Board | None, ram: int | None, ways: int, shots: int) -> Task:
    """With the board's own room where no RAM is named. Raises exit code 7 where it has none."""
    if board is None:
        return Task(ways, shots, ram)
    fit = sizes.fit(board, model)
    if ram is None and fit.left_for_training <= 0:
        raise TinylearnError(_heap(fit), NOT_ENOUGH_RAM)
    return Task(ways, shots, ram or fit.left_for_training, fit.flash_free)


def _heap(fit: sizes.Fit) -> str:
    return (
        f"{fit.board.name} has {kb(fit.board.heap_bytes)} of heap: tinylearn takes {kb(fit.native + fit.package)}, "
        f"what trains {kb(fit.training)}, the model {kb(fit.model)}, its arena {kb(fit.arena)}, a spare "
        f"{kb(flash.SPARE_HEAP)}; {kb(max(fit.left_for_training, 0))} are left for training"
    )


def with_scheme(model: tlm.Model, task: Task) -> tuple[tlm.Model, str | None]:
    """The model with one more scheme, made for the task's RAM, and its name; None where nothing fits."""

    def taken(entries: tuple) -> int:
        return partition.adapting_bytes(model, entries, task.samples, task.ways)

    entries = partition.choose(model, task.budget, taken)
    if not entries:
        return model, None
    name = f"{task.budget / 1024:.0f}K"
    made = partition.scheme(model, name, entries)
    others = [scheme for scheme in model.schemes if scheme.name != name]
    return partition.with_schemes(model, sorted([*others, made], key=lambda scheme: -scheme.ram_bytes)), name


def _fitting(model: tlm.Model, task: Task, board: Board | None, options: dict) -> list[Training]:
    """What each method would train, as far as it fits."""
    found = []
    for method in METHODS:
        try:
            found.append(training_report.find(model, method, task, board, **options))
        except TinylearnError as error:
            if error.exit_code != NOT_ENOUGH_RAM and method != "scheme":
                raise
    return found


# ---- In words --------------------------------------------------------------------------------------------------------


def _tell(console: Console, path: Path, chosen: Training, trainings: list[Training], board, task: Task) -> None:
    model = chosen.model
    room = "as much RAM as it takes" if task.budget is None else f"{kb(task.budget)} of RAM"
    console.print(
        f"[bold]{model.name or path.name}[/bold]  {path}: {task.ways} classes x {task.shots} examples, {room}"
    )
    console.print(_methods(trainings))
    console.print(f"[bold]{chosen.method}[/bold]: {_cut(chosen)}")
    console.print(_layers(training_report.layers(chosen)))
    parts = ", ".join(f"{what} {kb(size)}" for what, size in training_report.memory(chosen).items() if size)
    console.print(f"RAM: {parts}; in all {kb(chosen.fit.bytes)}")
    found = training_report.layout(chosen)
    console.print(
        f"arena of one sample: {found['board']:,} bytes as the board lays it out, {found['host']:,} as the host would, "
        f"{found['lower_bound']:,} at least: ratio {found['ratio']:.3f}"
    )
    found = panels.trade(model, board)
    console.print("[bold]weight panels[/bold]")
    console.print(_panels(found["layers"]))
    for sentence in filter(None, [*panels.sentences(found), training_report.panel_sentence(chosen)]):
        console.print(sentence)


def _cut(training: Training) -> str:
    tail, ops = training.tail, training.model.ops
    frozen = f"operators 0 to {tail.first - 1} are frozen, " if tail.first else ""
    where = {"ram": "kept in RAM", "flash": f"kept on the flash, {kb(training.fit.flash)}", "recompute": "made again"}
    return (
        f"{frozen}the tail begins with {tail.first} ({ops[tail.first].name}). What it reads of a sample, "
        f"{kb(tail.record)} for each of {training.fit.views + 1} views, is {where[training.fit.cache]}."
    )


def _methods(trainings: list[Training]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("method", "trains"):
        table.add_column(heading)
    for heading in ("weights", "biases", "arena", "RAM", "time per step"):
        table.add_column(heading, justify="right")
    for training in trainings:
        rows, seconds = training_report.layers(training), training.fit.step
        table.add_row(
            training.method,
            f"{len(training.tail.choice)} layers from {training.tail.first} on",
            f"{sum(row['trained_weights'] for row in rows):,}",
            f"{sum(row['trained_biases'] for row in rows):,}",
            kb(training.arena),
            kb(training.fit.bytes),
            "" if seconds is None else f"{seconds:.2f} s",
        )
    return table


def _layers(rows: list[dict]) -> Table:
    """Multiply-accumulates of one sample, and bytes that wait for the backward."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading, justify in (("#", "right"), ("operator", "left"), ("", "left"), ("trained", "right"), ("of", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)
    for heading in ("forward", "to x", "to w", "saved", "mask"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        trained = row["trained_weights"] + row["trained_biases"]
        macs = [row[f"macs_{way}"] for way in ("forward", "grad_input", "grad_weight")]
        cells = [_short(n) for n in (trained, row["parameters"], *macs, row["saved_bytes"], row["mask_bytes"])]
        style = {"frozen": "dim", "trained": "bold"}.get(row["state"])
        table.add_row(str(row["index"]), row["operator"], row["state"], *cells, style=style)
    return table


def _panels(rows: list[dict]) -> Table:
    """Bytes of each layer's panel, those with which nothing is streamed, and cycles of a Cortex-M0+ per answer."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading, justify in (("#", "right"), ("operator", "left"), ("panel", "left"), ("bytes", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)
    for heading in ("whole", "making it", "again"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [_short(row[name]) for name in ("bytes", "whole", "cycles", "again")]
        table.add_row(str(row["index"]), row["operator"], panels.words(row), *cells)
    return table


def _short(n: int) -> str:
    """For narrow columns: 848, 42.3k, 1.30M; nothing for zero."""
    if n < 10_000:
        return f"{n:,}" if n else ""
    return f"{n / 1e3:.1f}k" if n < 1_000_000 else f"{n / 1e6:.2f}M"
