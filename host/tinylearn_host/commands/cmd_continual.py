"""`tinylearn continual`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tinylearn_host.commands.cmd_benchmark import _list
from tinylearn_host.commands.options import json_option, print_json, progress_bar
from tinylearn_host.errors import USAGE, TinylearnError
from tinylearn_host.learning import arithmetic, bench, continual, datasets, report, sequences, tasks


@click.command("continual")
@click.option(
    "--sequence", "name", required=True, type=click.Choice(list(sequences.SEQUENCES)), help="What comes when."
)
@click.option("--data", type=click.Path(path_type=Path), help="The .npz, or the folder of it.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The .tlm.")
@click.option("--strategy", help=f"With commas: {', '.join(continual.STRATEGIES)}; default: all.")
@click.option("--arithmetic", "numbers", default="int8", show_default=True, help="int8, int16, float32.")
@click.option("--shot", type=click.IntRange(1), help="Examples of each class in a task.")
@click.option("--only", "groups", help="Alphabets, speakers or wearers to draw from, with commas; default: all.")
@click.option("--sequences", "count", type=click.IntRange(2), default=20, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--method", default=continual.METHOD, show_default=True, help="What of the network is trained.")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True)
@click.option("--rate", type=float, help="Default: the model's card, else what suits each strategy.")
@click.option("--views", type=click.IntRange(0, 64), help="Likewise.")
@click.option("--layers", type=click.IntRange(1), help="How many of the last layers are trained at most.")
@click.option("--budget", type=click.IntRange(1), help="Bytes of RAM that training may take.")
@click.option("--strength", type=float, help="Of lightcl: how strongly maps are held.")
@click.option("--samples", type=click.IntRange(1), help="Of lightcl: samples of a task whose maps are held.")
@click.option("--share", type=float, help="Of lightcl: the part of each map's channels that a task adds.")
@click.option("--most", type=float, help="Of lightcl: the part of them that are held at most.")
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one for each core.")
@click.option("--limit", type=click.IntRange(1), help="Seconds: rows have to do with fewer sequences then.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON there, too.")
@json_option
def command(name, data, model, strategy, numbers, shot, groups, count, seed, jobs, limit, output, as_json, **given):
    """Teach task after task, and ask about all of them: average accuracy in the end, and what was forgotten.

    Sequences, seeds and samples are the same for every strategy.
    """
    hold = {key: given.pop(key) for key in ("strength", "samples", "share", "most")}
    options = {key: value for key, value in given.items() if value is not None}
    wanted = _list(strategy) or list(continual.STRATEGIES)
    for one, known in ((wanted, continual.STRATEGIES), (_list(numbers), arithmetic.ARITHMETIC)):
        strange = [part for part in one if part not in known]
        if strange:
            raise TinylearnError(f"there is no {strange[0]!r}; known are {', '.join(known)}", USAGE)
    setting = setting_of(name, data, model, shot, groups)
    rows = [
        continual.Job(one, number, seed, options, {k: v for k, v in hold.items() if v is not None})
        for one in wanted
        for number in _list(numbers)
    ]
    if output:
        report.make_folder(output)
    with progress_bar() as show:
        result = continual.run(setting, rows, count, jobs or os.cpu_count() or 1, show, limit)
    if output:
        report.save(result, output)
    if as_json:
        print_json(result)
    else:
        click.echo(continual.text(result))


def setting_of(name: str, data: Path | None, model: Path, shot: int | None, groups: str | None) -> continual.Setting:
    """A sequence by its options."""
    spec = tasks.SPECS[sequences.SEQUENCES[name].spec]
    file = data / datasets.FILES[spec.source] if data and data.is_dir() and spec.source in datasets.FILES else data
    bench.read(model)  # a sentence now, not out of a process later
    return continual.Setting(name, model, file, shot, tuple(_list(groups)))
