"""`tinylearn freeze`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinylearn_host import tlm
from tinylearn_host.commands.cmd_continual import setting_of
from tinylearn_host.commands.options import json_option, print_json, progress_bar
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.learning import freezing, sequences


@click.command("freeze")
@click.argument("path", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("--sequence", "name", required=True, type=click.Choice(list(sequences.SEQUENCES)), help="Tasks to try.")
@click.option("--data", type=click.Path(path_type=Path), help="The .npz, or the folder of it.")
@click.option("--only", "groups", help="Alphabets, speakers or wearers to draw from, with commas; default: all.")
@click.option("--pairs", type=click.IntRange(1), default=10, show_default=True, help="Of tasks, to measure over.")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True)
@click.option("--rate", type=float, help="Default: as continual learning has it.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=freezing.TOLERANCE, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the model with its freeze point.")
@json_option
def command(path, name, data, groups, pairs, steps, rate, tolerance, seed, output, as_json) -> None:
    """Measure each layer's plasticity and stability, and how much of MODEL continual learning can leave as it is.

    Plasticity: how well a second task is learned with everything before a layer frozen, beside the best. Stability: how
    little a layer's maps of the first task change when nothing is frozen. The last layer from which on training is as
    good (--tolerance) goes into the model, and boards obey it.
    """
    if output and output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    setting = setting_of(name, data, path, None, groups)
    options = {"steps": steps, **({"rate": rate} if rate else {})}
    with progress_bar() as show:
        found = freezing.measure(setting, options, seed, pairs, tolerance, show)
    model = tlm.read(path)
    if output:
        tlm.save(freezing.with_freeze(setting.open()[1], found.freeze), output)
    if as_json:
        print_json(found.as_json())
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("trained from", "plasticity", "stability", "new task", "old task"):
        table.add_column(heading, justify="left" if heading == "trained from" else "right")
    for layer in found.layers:
        numbers = (f"{layer.plasticity:.3f}", f"{layer.stability:.3f}", f"{layer.new:.1f} %", f"{layer.old:.1f} %")
        table.add_row(f"{layer.op} {model.ops[layer.op].name}", *numbers)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"everything before operator {found.freeze} can stay as it is")
