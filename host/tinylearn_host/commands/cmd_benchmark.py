"""`tinylearn benchmark`."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tinylearn_host import flash, paths, tlm
from tinylearn_host.commands.options import json_option, open_board, print_json, progress_bar
from tinylearn_host.errors import USAGE, VERIFY_FAILED, TinylearnError
from tinylearn_host.learning import arithmetic, bench, datasets, report, tasks
from tinylearn_host.learning import replay as replaying

SHIPPED = {"glyph", "speech", "emg"}


def _list(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


@click.command("benchmark")
@click.option(
    "--dataset", required=True, help=f"{', '.join(tasks.SPECS)}; or an .npz file, whose arrays say what it is."
)
@click.option("--data", type=click.Path(path_type=Path), help="The .npz, or the folder of it, for a data set by name.")
@click.option("--model", type=click.Path(path_type=Path), help="The .tlm; default: the backbone of models/ for it.")
@click.option(
    "--method",
    default="all",
    show_default=True,
    help="With commas; all: what the board's package has. full:layers=4:float32 is a row with options of its own, of "
    "model.adapt, and its arithmetic.",
)
@click.option("--arithmetic", "numbers", default="int8,float32", show_default=True, help="int8, int16, float32.")
@click.option("--way", type=click.IntRange(2, 256), help="Classes of an episode.")
@click.option("--shot", type=click.IntRange(1), help="Examples of each class.")
@click.option("--only", "groups", help="Alphabets, speakers or wearers to draw from, with commas; default: all.")
@click.option("--episodes", type=click.IntRange(2), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of methods that train the network; default: the model's card.")
@click.option("--rate", type=float, help="Likewise.")
@click.option("--views", type=click.IntRange(0, 64), help="Likewise.")
@click.option("--layers", type=click.IntRange(1), help="How many of the last layers bias and full train at most.")
@click.option("--head", help="What they end with: prototype, closed_form, last_layer or auto.")
@click.option(
    "--budget", type=click.IntRange(1), help="Bytes of RAM that training may take; default: what a Pico has beside it."
)
@click.option("--jobs", type=click.IntRange(1), help="Processes; default: one for each core.")
@click.option(
    "--replay", type=click.IntRange(1), metavar="N", help="Instead: N of the episodes on a board, bit by bit."
)
@click.option("--board", default="pico-emulated", show_default=True, help="The board for --replay.")
@click.option("--queries", type=click.IntRange(1), default=10, show_default=True, help="Asked there of each episode.")
@click.option("--limit", type=click.IntRange(1), help="Seconds, after which rows have to do with fewer episodes.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the JSON there, too, beside other rows of the same task; of --replay by itself.",
)
@json_option
def command(
    dataset,
    data,
    model,
    method,
    numbers,
    way,
    shot,
    groups,
    episodes,
    seed,
    jobs,
    replay,
    board,
    queries,
    limit,
    output,
    as_json,
    **options,
):
    """How well each method learns, over few-shot episodes: accuracy with its 95 % interval, memory, work, flash.

    int8 and int16 (the width of gradients) are the board's own package on the simulator, to the bit; float32 is the
    same loop in PyTorch (extra [train]). All methods see the same episodes. A run that was stopped goes on where it
    was when it is started again.
    """
    setting = setting_of(dataset, data, model, way, shot, groups)
    options["budget"] = options["budget"] or tasks.budget(tasks.SPECS[setting.spec])
    chosen = {name: value for name, value in options.items() if value is not None}
    jobs_to_run = _jobs(setting, _list(method), _list(numbers), seed, chosen)
    if output:
        report.make_folder(output)
    if replay:
        _replay(setting, jobs_to_run, replaying.sample(episodes, replay, seed), board, queries, as_json, output)
        return
    before = _earlier(output, bench.about(setting, seed, episodes)) if output else None
    processes = jobs or os.cpu_count() or 1
    start = time.monotonic()
    with progress_bar() as show:
        result = bench.run(setting, jobs_to_run, episodes, processes, show, limit)
    done, seconds = sum(len(row["accuracies"]) for row in result["rows"]), time.monotonic() - start
    click.echo(f"{done} episodes of all rows in {seconds:.0f} s, {done / seconds:.1f} a second", err=True)
    if output:
        report.save(report.merged(result, before), output)
    if as_json:
        print_json(result)
    else:
        click.echo(report.text(result))


def _earlier(output: Path, setting: dict) -> dict | None:
    """The JSON that a run's rows will stand beside. Says before the run, while that can be stopped, if they cannot."""
    before = report.earlier(output)
    if before and (strange := report.strange(before["setting"], setting)):
        rows = f"{len(before['rows'])} row" + "s" * (len(before["rows"]) != 1)
        click.echo(
            f"{output} has {rows} with another {', '.join(strange)}: this run's take their place (another --output "
            "keeps them)",
            err=True,
        )
    return before


def _replay(setting: bench.Setting, jobs: list, numbers: list[int], board: str, queries: int, as_json, output) -> None:
    """Exit code 10 where the board answers otherwise than the simulator."""
    task, model = setting.open()
    on_board = [job for job in jobs if job.arithmetic in arithmetic.WIDTHS and job.method != arithmetic.NONE]
    with TemporaryDirectory() as folder, open_board(board, None, "mpremote") as link, progress_bar() as show:
        path = Path(folder) / setting.model.name
        tlm.save(model, path)
        if link is not None:
            also = (flash.FILTER,) if any(job.options.get("filter") for job in on_board) else ()
            flash.flash(link, path, show, also=also)
        found = replaying.run(link, path, task, on_board, numbers, queries, show)
    if output:
        about = {"task": setting.spec, "way": setting.way, "shot": setting.shot, "board": board, "queries": queries}
        about.update(model=setting.model.name, seed=jobs[0].seed)
        report.save({"setting": about, "rows": [asdict(one) for one in found]}, output)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(one.line() for one in found))
    if not all(one.same for one in found):
        raise TinylearnError(f"{board} does not answer as the simulator does", VERIFY_FAILED)


def setting_of(dataset, data, model, way, shot, groups) -> bench.Setting:
    """A task by its options."""
    if dataset in tasks.SPECS:
        spec = tasks.SPECS[dataset]
        file = data
        if data and data.is_dir():
            file = data / datasets.FILES[spec.source] if spec.source in datasets.FILES else None
    elif dataset.endswith(".npz"):
        file = Path(dataset)
        spec = tasks.of_file(file)
    else:
        raise TinylearnError(f"there is no data set {dataset!r}; known are {', '.join(tasks.SPECS)}, or a .npz", USAGE)
    path = model or _backbone(spec)
    if path.suffix != ".tlm":
        raise TinylearnError(
            f"--model is a .tlm, not {path.name}: `tinylearn convert {path} -o {path.stem}.tlm --domain ...` makes one",
            USAGE,
        )
    bench.read(path)  # a sentence now, not out of a process later
    return bench.Setting(spec.name, path, file, way or spec.way, shot or spec.shot, tuple(_list(groups)))


def _backbone(spec: tasks.Spec) -> Path:
    name = spec.backbone.split("-")[0]
    if name not in SHIPPED:
        raise TinylearnError(f"{spec.name} wants --model: a .tlm of {name}, made by `tinylearn convert`", USAGE)
    return paths.MODELS / name / f"{name}.tlm"


def _jobs(setting: bench.Setting, wanted: list[str], numbers: list[str], seed: int, shared: dict):
    """The rows: every method in every arithmetic that it has. shared: options of those that train."""
    spec, known = tasks.SPECS[setting.spec], arithmetic.methods(bench.read(setting.model))
    if spec.source == "armband":
        known = (*known, *arithmetic.WITHOUT_NETWORK)
    texts = itertools.chain(*(known if text == "all" else [text] for text in wanted or ["all"]))
    asked = [_row(text) for text in texts]
    unknown = [name for name, _, _ in asked if name not in known]
    if unknown:
        raise TinylearnError(f"there is no method {unknown[0]!r} for this model; known are {', '.join(known)}", USAGE)
    strangers = sorted({key for _, _, own in asked for key in own} - set(arithmetic.options()))
    if strangers:
        known = ", ".join(arithmetic.options())
        raise TinylearnError(f"a row has no option {strangers[0]!r}; there are {known}", USAGE)
    strange = [
        n for n in (*numbers, *itertools.chain(*(only for _, only, _ in asked))) if n not in arithmetic.ARITHMETIC
    ]
    updates = [own["update"] for _, _, own in asked if own.get("update", "sgd") not in arithmetic.UPDATES]
    if updates:
        raise TinylearnError(f"update is one of {', '.join(arithmetic.UPDATES)}, in float32, not {updates[0]!r}", USAGE)
    if strange or not numbers:
        raise TinylearnError(f"arithmetic is of {', '.join(arithmetic.ARITHMETIC)}, not {', '.join(strange)!r}", USAGE)
    jobs = [
        arithmetic.Job(name, number, seed, {**shared, **own} if arithmetic.trains(name) else own)
        for name, only, own in asked
        for number in arithmetic.of_method(name, only or numbers)
        if _known(number, own)
    ]
    if any(job.arithmetic == "float32" for job in jobs) and not find_spec("torch"):
        raise TinylearnError('float32 needs PyTorch: pip install "tinylearn[train]", or say --arithmetic int8', USAGE)
    if not jobs:
        raise TinylearnError("no row is left: update= is for float32 alone, and filter= for integers", USAGE)
    return jobs


def _known(number: str, own: dict) -> bool:
    """float32 knows nothing of filters, and nothing else of updates other than the board's."""
    return "update" not in own if number in arithmetic.WIDTHS else not own.get("filter")


def _row(text: str) -> tuple[str, list[str], dict]:
    """(method, arithmetic if it is told, options) of method:option=value:arithmetic."""
    name, *parts = text.split(":")
    pairs = (part.split("=", 1) for part in parts if "=" in part)
    options = {key: _value(value) for key, value in pairs}
    return name, [part for part in parts if "=" not in part], options


def _value(text: str) -> int | float | str:
    """A number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
