"""How well boards learn: `make bench-learning`, or

    benchmarks/learning.py --data ../shared/data                every run of RUNS that is not there yet, then the docs
    benchmarks/learning.py --data ../shared/data --only words   the runs whose names begin so, again
    benchmarks/learning.py --data ../shared/data --classes      those of CLASSES by a backbone without meta-training
    benchmarks/learning.py --data ../shared/data --search       `tinylearn search` on SEARCHES, into results/search
    benchmarks/learning.py --docs                               docs/learning.md from the results; runs nothing

A run is one call of `tinylearn benchmark`, with a seed; its JSON lies in benchmarks/results/learning. The backbones are
those of models/, trained again without the alphabets, the speaker and the wearers that are asked about, in
benchmarks/held_out (`--held-out` names another folder; what is not there is made by the recipes, which takes half an
hour and wants the extra [train]).
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "host"))
sys.path.insert(0, str(ROOT / "benchmarks"))

import learning_docs  # noqa: E402
from tinylearn_host import cli, paths  # noqa: E402

FOLDER = ROOT / "benchmarks" / "results" / "learning"
UNSEEN = ("Korean", "Tifinagh", "Bengali", "Greek", "Latin", "Futurama")  # models/glyph/recipe.py --hold-out


@dataclass(frozen=True)
class HeldOut:
    """A backbone without what is asked about. arguments: of its recipe; file: what that writes; groups: the unseen."""

    recipe: str
    data: str
    file: str
    arguments: tuple[str, ...]
    groups: tuple[str, ...] = ()


WITHOUT_WORDS = tuple(part for word in ("two", "five", "nine") for part in ("--hold-out-word", word))
HELD_OUT = {
    "glyph": HeldOut("glyph", "omniglot_background.npz", "glyph/glyph.tlm", ("--hold-out",), UNSEEN),
    "glyph-classes": HeldOut(
        "glyph",
        "omniglot_background.npz",
        "glyph-classes/glyph.tlm",
        ("--hold-out", "--objective", "classes"),
        UNSEEN,
    ),
    "speech": HeldOut(
        "speech",
        "spoken_digits.npz",
        "speech-without-george.tlm",
        ("--hold-out-speaker", "george", "--steps", "1500"),
        ("george",),
    ),
    "speech-words": HeldOut(
        "speech",
        "spoken_digits.npz",
        "speech-without-george-two-five-nine.tlm",
        ("--hold-out-speaker", "george", *WITHOUT_WORDS, "--steps", "1500"),
        ("george",),
    ),
    "emg": HeldOut("emg", "emg_gestures.npz", "emg-without-half.tlm", ("--hold-out-half", "--steps", "800")),
}


@dataclass(frozen=True)
class Run:
    """name: of the JSON; dataset: of `tinylearn benchmark`; held_out: of HELD_OUT, or a file among the data."""

    name: str
    dataset: str
    held_out: str
    way: int
    shot: int
    options: tuple[str, ...] = field(default=())


SHARED = ("--steps", "10")  # they bring most of what forty bring
WHOLE = "full:layers=99:budget=9999999:rate=0.01:float32"  # fine-tuning all of the network, as a PC would
METHODS = ("--method", f"all,{WHOLE}")
INTEGERS = ("--arithmetic", "int8,int16,float32")
RUNS = (
    Run("glyphs-20-way-1-shot", "glyphs", "glyph", 20, 1, INTEGERS),
    Run("glyphs-20-way-5-shot", "glyphs", "glyph", 20, 5),
    Run("glyphs-5-way-1-shot", "glyphs", "glyph", 5, 1),
    Run("glyphs-5-way-5-shot", "glyphs", "glyph", 5, 5),
    Run("digits-10-way-5-shot", "digits", "glyph", 10, 5),
    Run("digits-5-way-10-shot", "digits", "glyph", 5, 10),
    Run("negatives-10-way-5-shot", "negatives", "glyph", 10, 5),
    Run("spectrograms-10-way-5-shot", "spectrograms", "glyph", 10, 5),
    Run("words-10-way-1-shot", "words", "speech", 10, 1, INTEGERS),
    Run("words-10-way-5-shot", "words", "speech", 10, 5),
    Run("new-words-10-way-5-shot", "new-words", "speech-words", 10, 5),
    Run("wearer-8-way-1-shot", "wearer", "emg", 8, 1, INTEGERS),
    Run("wearer-8-way-5-shot", "wearer", "emg", 8, 5, INTEGERS),
    Run(
        "wearer-8-way-20-shot",
        "wearer",
        "emg",
        8,
        20,
        ("--method", "none,prototype,closed_form,last_layer,whitened,lda"),
    ),
    Run("session-8-way-5-shot", "session", "emg", 8, 5),
    Run("keywords-10-way-5-shot", "keywords", "models/kws_ref_model.tflite", 10, 5),
)
CLASSES = ("digits-10-way-5-shot", "negatives-10-way-5-shot", "glyphs-20-way-1-shot")  # runs without meta-training, too
SEARCHES = ("negatives-10-way-5-shot", "words-10-way-5-shot", "wearer-8-way-5-shot")  # one of each backbone
QUICK = ("--ram", "48K,64K,96K,128K", "--layers", "6", "--steps", "10", "--trials", "1000")
OTHERS = 1000  # added to the seed: a search tunes on other episodes than those that the rows are of


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The folder of the .npz.")
@click.option("--held-out", "held_out", type=click.Path(path_type=Path), default=ROOT / "benchmarks" / "held_out")
@click.option("--only", default="", help="Names that begin so; they run even where their results are there.")
@click.option("--episodes", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--jobs", type=int, help="Processes; default: one for each core.")
@click.option("--limit", type=int, help="Seconds for each run: rows have to do with fewer episodes then.")
@click.option("--method", help="Only these rows, beside those that the results have already; with commas.")
@click.option("--arithmetic", help="Only these of int8, int16, float32; with commas.")
@click.option("--classes", is_flag=True, help="By the backbone that was not meta-trained, into results/classes.")
@click.option("--search", is_flag=True, help="Search schemes instead, with --episodes for each that is tried.")
@click.option("--output", type=click.Path(path_type=Path), default=FOLDER, help="Where the results go.")
@click.option("--docs", is_flag=True, help="Only make docs/learning.md.")
def main(data, only, classes, search, output, docs, **options) -> None:
    """Run what is missing, then make docs/learning.md."""
    runs = RUNS
    if search:
        runs = [run for run in RUNS if run.name in SEARCHES]
        output = learning_docs.SEARCHES if output == FOLDER else output
    if classes:
        runs = [replace(run, held_out="glyph-classes") for run in RUNS if run.name in CLASSES]
        output = learning_docs.CLASSES if output == FOLDER else output
    if not docs:
        if data is None:
            raise click.UsageError("--data names the folder with the data sets")
        chosen = [run for run in runs if run.name.startswith(only)]
        for run in chosen:
            target = output / f"{run.name}.json"
            if only or not target.exists():
                (_search if search else _run)(run, data, target, **options)
    if output in (FOLDER, learning_docs.CLASSES, learning_docs.SEARCHES):
        learning_docs.write()


def _run(run: Run, data: Path, target: Path, held_out: Path, **options) -> None:
    """options: of `tinylearn benchmark`."""
    click.echo(run.name)
    model, task = _task(run, data, held_out)
    arguments = ["--model", model, *task, "--output", target, *SHARED, *METHODS, *run.options]
    for name, value in options.items():
        arguments += [f"--{name}", value] if value is not None else []
    cli.main(["benchmark", *map(str, arguments)], standalone_mode=False)


def _search(run: Run, data: Path, target: Path, held_out: Path, episodes: int, seed: int, jobs, **_) -> None:
    """The JSON of `tinylearn search`, with what it is of; the model and the picture lie in build/."""
    click.echo(run.name)
    model, task = _task(run, data, held_out)
    found = paths.BUILD / "search" / model.name
    found.parent.mkdir(parents=True, exist_ok=True)
    arguments = [model, *task, *QUICK, "--episodes", episodes, "--seed", seed + OTHERS, "-o", found, "--json"]
    arguments += ["--jobs", jobs] if jobs else []
    with redirect_stdout(StringIO()) as printed:
        cli.main(["search", *map(str, arguments)], standalone_mode=False)
    setting = {"task": run.dataset, "way": run.way, "shot": run.shot, "episodes": episodes, "model": model.name}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"setting": setting, **json.loads(printed.getvalue())}, indent=1) + "\n")


def _task(run: Run, data: Path, held_out: Path) -> tuple[Path, list]:
    """(model, options that say the task) of a run."""
    model, groups = _model(run.held_out, data, held_out)
    task = ["--dataset", run.dataset, "--data", data, "--way", run.way, "--shot", run.shot]
    return model, task + (["--only", ",".join(groups)] if groups and run.dataset in WITH_GROUPS else [])


WITH_GROUPS = ("glyphs", "words", "new-words", "wearer", "session")


def _model(name: str, data: Path, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """(file, what it has not seen) of a backbone, made now where it is not there."""
    if name not in HELD_OUT:
        target = paths.BUILD / "held-out" / Path(name).with_suffix(".tlm").name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            cli.main(["convert", str(data / name), "-o", str(target), "--domain", "spectrogram"], standalone_mode=False)
        return target, ()
    wanted = HELD_OUT[name]
    target = folder / wanted.file
    if not target.exists():
        output = target.parent if wanted.recipe == "glyph" else target
        recipe = ROOT / "models" / wanted.recipe / "recipe.py"
        command = [sys.executable, recipe, "--data", data / wanted.data, *wanted.arguments, "--output", output]
        subprocess.run(list(map(str, command)), check=True)
    return target, wanted.groups or _every_second(data / wanted.data)


def _every_second(file: Path) -> tuple[str, ...]:
    """The wearers that models/emg/recipe.py --hold-out-half leaves out."""
    with np.load(file) as arrays:
        return tuple(map(str, np.unique(arrays["participant"])[::2]))


if __name__ == "__main__":
    main()
