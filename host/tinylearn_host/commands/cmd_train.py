"""`tinylearn train`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import boards, sizes
from tinylearn_host.commands.options import SIMULATOR, json_option, print_json, progress_bar
from tinylearn_host.device import kb
from tinylearn_host.errors import USAGE, TinylearnError

KINDS = ("images", "wavs", "csv")


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What the examples are.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tlm to write.")
@click.option("--steps", default=1500, show_default=True, type=click.IntRange(1), help="Batches to train for.")
@click.option("--seed", default=1, show_default=True, help="The same seed and data give the same model.")
@click.option(
    "--size",
    default=32,
    show_default=True,
    type=click.IntRange(16, 96),
    help="Images: pixels a side, to which all are resized.",
)
@click.option(
    "--rate",
    type=click.IntRange(4000, 16000),
    help="WAVs: samples a second of the board's microphone; all are resampled.",
)
@click.option(
    "--seconds", default=1.0, show_default=True, type=click.FloatRange(0.2, 8), help="WAVs: length of a sample."
)
@click.option("--window", default=64, show_default=True, type=click.IntRange(8, 512), help="CSV: rows of a sample.")
@click.option("--hop", type=click.IntRange(1), help="CSV: rows from one sample to the next; half a window.")
@click.option("--board", help="Say whether the model fits this board of `tinylearn boards`.")
@json_option
def command(data, kind, output, steps, seed, size, rate, seconds, window, hop, board, as_json) -> None:
    """Train a backbone on your own examples in DATA, and write it as a .tlm that a board can use.

    DATA is a folder with a subfolder per class, of images, WAVs or CSVs (a row per sample, a column per channel; a
    column "time" shows gaps); or one CSV with a column "label". With 20 classes or more, every fifth is held out, and
    the model is measured on those; with fewer, a quarter of the files of each, and the model keeps the classes as its
    own. What the board must do to a sample first (log-mel) is in the file. The figure at the end is few-shot accuracy
    in int8 on what was held out. Needs the extra [train]: pip install "tinylearn[train]"
    """
    if output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    target = boards.find(board) if board and board != SIMULATOR else None
    try:
        from tinylearn_host.pretraining import examples, own
    except ModuleNotFoundError as error:
        raise TinylearnError(f'{error.name} is not installed: pip install "tinylearn[train]"') from None
    read = {
        "images": lambda: examples.images(data, size),
        "wavs": lambda: examples.wavs(data, rate, seconds),
        "csv": lambda: examples.csv(data, window, hop or max(1, window // 2)),
    }
    found = read[kind]()
    with progress_bar() as show:
        result = own.make(found, output, steps=steps, seed=seed, watch=show)
    fit = sizes.fit(target, result.model) if target else None
    if as_json:
        print_json({**_report(found, result, output), "fit": fit.as_json() if fit else None})
        return
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    model = result.model
    taught = f"{len(found.x):,} examples of {len(found.classes)} classes"
    print(f"{taught} -> {output}: {kb(len(model.raw))}, arena {kb(model.arena)}")
    if fit:
        print(fit.sentence())
    if result.classifier is not None:
        print(f"its own classifier: {result.classifier:.1f} % of {result.held_out} examples held out")
    print(f"few-shot accuracy, {result.way} classes, {result.shot} of each, held out: {result.accuracy:.1f} %")


def _report(found, result, output: Path) -> dict:
    return {
        "model": str(output),
        **sizes.summary(result.model),
        "classes": found.classes,
        "examples": len(found.x),
        "held_out": result.held_out,
        "way": result.way,
        "shot": result.shot,
        "accuracy": round(result.accuracy, 2),
        "classifier_accuracy": None if result.classifier is None else round(result.classifier, 2),
        "notes": result.notes,
    }
