"""What boards still know after task after task:

    benchmarks/continual.py --data ../shared/data                 every run of RUNS that is not there yet, then the docs
    benchmarks/continual.py --data ../shared/data --only wearers  the runs whose names begin so, again
    benchmarks/continual.py --data ../shared/data --freeze        what `tinylearn freeze` finds for those of FREEZE
    benchmarks/continual.py --docs                                docs/continual.md from the results; runs nothing

A run is one call of `tinylearn continual`, with a seed; its JSON lies in benchmarks/results/continual, that of
`tinylearn freeze` in benchmarks/results/freezing. The backbones
are those of benchmarks/held_out, which have seen nothing of what they are taught here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "host"))
sys.path.insert(0, str(ROOT / "benchmarks"))

import continual_docs  # noqa: E402
from tinylearn_host import cli  # noqa: E402

HELD_OUT = ROOT / "benchmarks" / "held_out"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "host")}


@dataclass(frozen=True)
class Run:
    """A sequence of tinylearn_host/learning/sequences.py; model: of HELD_OUT; every_second: wearer, is unseen."""

    name: str
    model: str
    data: str | None = None
    every_second: bool = False


RUNS = (
    Run("negatives", "glyph/glyph.tlm"),
    Run("wearers", "emg-without-half.tlm", "emg_gestures.npz", True),
    Run("spectrograms", "glyph/glyph.tlm", "spoken_digits.npz"),
    Run("speakers", "glyph/glyph.tlm", "spoken_digits.npz"),
    Run("sessions", "emg-without-half.tlm", "emg_gestures.npz", True),
)
SHARED = ("--steps", "10", "--layers", "6", "--rate", "0.01")  # one rate for all strategies
FREEZE = ("negatives", "wearers")  # runs whose backbones' layers are measured


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The folder of the .npz.")
@click.option("--only", default="", help="Names that begin so; they run even where their results are there.")
@click.option("--sequences", default=20, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--arithmetic", default="int8,float32", show_default=True)
@click.option("--strategy", help="Only these rows, with commas.")
@click.option("--jobs", type=int, help="Processes; default: one for each core.")
@click.option("--limit", type=int, help="Seconds for each run: rows have to do with fewer sequences then.")
@click.option("--output", type=click.Path(path_type=Path), default=continual_docs.FOLDER, help="Where results go.")
@click.option("--freeze", is_flag=True, help="Measure plasticity and stability of each layer instead.")
@click.option("--pairs", default=5, show_default=True, help="Of tasks, for --freeze.")
@click.option("--docs", is_flag=True, help="Only make docs/continual.md.")
def main(data, only, output, freeze, pairs, docs, **options) -> None:
    """Run what is missing, then make docs/continual.md."""
    for run in [run for run in RUNS if run.name in FREEZE] if freeze else ():
        if run.name.startswith(only):
            _freeze(run, data, pairs, options["seed"])
    for run in () if docs or freeze else RUNS:
        target = output / f"{run.name}.json"
        if run.name.startswith(only) and (only or not target.exists()):
            _run(run, data, target, **options)
    if output == continual_docs.FOLDER:
        continual_docs.write()


def _run(run: Run, data: Path | None, target: Path, **options) -> None:
    arguments = [*_tasks(run, data), "--model", HELD_OUT / run.model, "--output", target, *SHARED]
    for name, value in options.items():
        arguments += [f"--{name}", value] if value else []
    cli.main(["continual", *map(str, arguments)], standalone_mode=False)


def _freeze(run: Run, data: Path | None, pairs: int, seed: int) -> None:
    arguments = [HELD_OUT / run.model, *_tasks(run, data), "--pairs", pairs, "--seed", seed, "--json"]
    command = [sys.executable, "-m", "tinylearn_host.cli", "freeze", *map(str, arguments)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT).stdout)
    about = {"sequence": run.name, "model": Path(run.model).name, "pairs": pairs, "seed": seed}
    target = continual_docs.FREEZING / f"{run.name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"setting": about, **found}, indent=1) + "\n")


def _tasks(run: Run, data: Path | None) -> list:
    """Options of a command, that say which tasks."""
    if data is None:
        raise click.UsageError("--data names the folder with the data sets")
    click.echo(run.name)
    arguments = ["--sequence", run.name]
    arguments += ["--data", data / run.data] if run.data else []
    return arguments + (["--only", ",".join(_every_second(data / run.data))] if run.every_second else [])


def _every_second(file: Path) -> tuple[str, ...]:
    """The wearers that models/emg/recipe.py --hold-out-half leaves out."""
    with np.load(file) as arrays:
        return tuple(map(str, np.unique(arrays["participant"])[::2]))


if __name__ == "__main__":
    main()
