"""`tinylearn search`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinylearn_host import curves, partition, tlm
from tinylearn_host.commands.cmd_benchmark import setting_of
from tinylearn_host.commands.cmd_partition import prepared
from tinylearn_host.commands.options import Size, json_option, print_json, progress_bar
from tinylearn_host.device import kb
from tinylearn_host.errors import NOT_ENOUGH_RAM, USAGE, TinylearnError
from tinylearn_host.learning import search, tasks


class Sizes(click.ParamType):
    """Several sizes with commas."""

    name = "sizes"

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(sorted({Size().convert(part, param, ctx) for part in value.split(",")}))


@click.command("search")
@click.argument("path", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--dataset", help=f"What to tune on: {', '.join(tasks.SPECS)}; or an .npz file. Default: what that of --data holds."
)
@click.option("--data", type=click.Path(path_type=Path), help="The .npz, or the folder of it, for a data set by name.")
@click.option("--ram", type=Sizes(), default="64K,96K,128K", show_default=True, help="Budgets, with commas.")
@click.option("--way", type=click.IntRange(2, 256), help="Classes of an episode.")
@click.option("--shot", type=click.IntRange(1), help="Examples of each class.")
@click.option("--only", "groups", help="Alphabets, speakers or wearers to draw from, with commas; default: all.")
@click.option(
    "--episodes", type=click.IntRange(1), default=20, show_default=True, help="For each scheme that is tried."
)
@click.option("--steps", type=click.IntRange(1), help="Of each fine-tune; default: the model's card.")
@click.option("--rate", type=float, help="Likewise.")
@click.option("--views", type=click.IntRange(0, 64), help="Likewise.")
@click.option("--head", default="prototype", show_default=True, help="That a fine-tune ends with.")
@click.option("--layers", type=click.IntRange(1), help="At most so many last layers; default: all.")
@click.option("--ratios", default="1,4", show_default=True, help="Shares of the channels: 1, 2, 4 or 8, with commas.")
@click.option(
    "--trials", type=click.IntRange(1), default=3000, show_default=True, help="Schemes that the search weighs."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one for each core.")
@click.option(
    "--dask", metavar="ADDRESS", help="Instead: the workers of this Dask scheduler, which see the same files."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw accuracy against memory: .png, .svg, .pdf. Default: an .svg beside the output.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the model with the schemes that were found. Default: into MODEL itself.",
)
@json_option
def command(path, dataset, data, ram, way, shot, groups, ratios, jobs, dask, plot, output, as_json, **given) -> None:
    """Search what of MODEL to train for a given RAM, by fine-tuning it in the board's integers.

    First what each layer's training is worth, then the schemes that promise most in each budget, then these beside the
    rule of thumb on other episodes; the better ones go into the model (MCUNetV3's sparse update). It takes a while;
    a run that was stopped goes on where it was, and one worker or many find the same.
    """
    output = output or path
    if output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    plot = plot or (output.with_suffix(".svg") if find_spec("matplotlib") else None)
    if plot:
        curves.check(plot)
    setting = setting_of(dataset or _of_file(data), data, path, way, shot, groups)
    model = prepared(tlm.read(path))
    options = {name: given[name] for name in ("steps", "rate", "views", "head") if given[name] is not None}
    plan = search.Plan(
        setting,
        ram,
        given["seed"],
        given["episodes"],
        tuple(options.items()),
        _ratios(ratios),
        given["layers"],
        given["trials"],
    )
    with search.executor(jobs or os.cpu_count() or 1, dask) as workers, progress_bar() as show:
        result = search.search(plan, model, workers, show)
    if not result.schemes():
        raise TinylearnError(f"nothing that can be trained fits {kb(max(ram))}: name more --ram", NOT_ENOUGH_RAM)
    tlm.save(partition.with_schemes(model, result.schemes()), output)
    if plot:
        points = [(c.bytes, result.contributions.base + c.promise) for c in result.candidates]
        tried = [(r.found.bytes, r.accuracy) for r in result.rows if r.found]
        curves.save_memory(points, tried, plot, f"{model.name}, {setting.spec}")
    if as_json:
        print_json(result.as_json())
    else:
        _tell(Console(highlight=False), model, result)
    for written in filter(None, (output, plot)):
        click.echo(f"written: {written}", err=True)


def _of_file(data: Path | None) -> str:
    """The data set that a file is by its arrays."""
    if data is None or data.suffix != ".npz":
        raise TinylearnError("say what to tune on: --dataset NAME, or an .npz file by --data or --dataset", USAGE)
    return str(data)


def _ratios(text: str) -> tuple[int, ...]:
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not set(found) <= set(partition.SHARES):
        raise TinylearnError(f"--ratios are of {', '.join(map(str, partition.SHARES))}, not {text!r}", USAGE)
    return found


def _tell(console: Console, model: tlm.Model, result: search.Result) -> None:
    known = result.contributions
    console.print(f"a head alone: {known.base:.1f} %. What training gains beside it, in points:")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column("from layer")
    shares = sorted({share for _, share in known.weight})
    for heading in ("biases from here on", *(f"its weights, {_part(share)}" for share in shares)):
        table.add_column(heading, justify="right")
    for k, op in enumerate(known.ops):
        gains = [known.weight.get((op, share)) for share in shares]
        cells = [f"{gain:+.2f}" if gain is not None else "" for gain in (known.bias[k + 1], *gains)]
        table.add_row(f"{op} {model.ops[op].name}", *cells)
    console.print(table)
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("RAM", "takes", "head alone", "found", "rule of thumb", "kept"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        kept = "none fits" if row.kept is None else f"{len(row.kept.entries)} layers"
        numbers = (row.base, row.accuracy, row.usual_accuracy)
        percent = [f"{n:.2f} %" if n is not None else "" for n in numbers]
        table.add_row(kb(row.budget), kb(row.found.bytes) if row.found else "", *percent, kept)
    console.print(table)


def _part(share: int) -> str:
    return "all" if share == 1 else f"1/{share}"
