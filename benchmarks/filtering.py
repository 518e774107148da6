"""What filtered gradients take of each layer (adapt(filter=2 | 4)), as the board's own plan has it:

    benchmarks/filtering.py [--model models/glyph/glyph.tlm] [--layers 6]

Multiply-accumulates of one sample's way back and bytes that its forward saves for it, without and with filtering. Read
the patent notice in docs/training.md first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "host"))
sys.path.insert(0, str(ROOT / "benchmarks"))

from learning_docs import markdown  # noqa: E402
from tinylearn_host.learning import arithmetic, bench, costs  # noqa: E402

ZOO = [ROOT / "models" / name / f"{name}.tlm" for name in ("glyph", "speech", "emg")]
LEAST_WORK, LEAST_SAVED = 3.0, 1.8  # times fewer, of what is filtered
WAYS, SHOTS = 10, 5


@click.command()
@click.option("--model", "models", multiple=True, type=click.Path(exists=True, path_type=Path), default=ZOO)
@click.option("--layers", default=6, show_default=True, help="How many of the last layers are trained.")
def main(models: tuple[Path, ...], layers: int) -> None:
    """Print a table for each model."""
    for path in models:
        click.echo(f"{path.name}, the last {layers} layers\n\n{markdown(table(path, layers))}\n")


def table(path: Path, layers: int) -> list[list[str]]:
    lines = [["layer", "filter", "MACs back", "of", "times fewer", "bytes saved", "of", "times fewer"]]
    for side in (2, 4):
        try:
            tail = fitted(path, layers, side).tail
        except ValueError as error:  # nothing to filter
            lines.append([str(error), str(side), *[""] * 6])
            continue
        for op, patches in tail.filtered:
            of = one(tail, op, patches)
            lines.append([f"{op.index} conv2d, {_map(tail.model, op.y)}", str(side), *_times(of)])
        lines.append(["together", str(side), *_times(costs.filtered(tail)["filtered"])])
    return lines


def fitted(path: Path, layers: int, side: int):
    """The Fit of training so many layers with filtered gradients, whatever RAM it takes."""
    job = arithmetic.Job("full", "int8", 1, {"layers": layers, "filter": side, "budget": 1 << 30})
    return arithmetic.fit(bench.read(path), job, WAYS * SHOTS, WAYS)[1]


def one(tail, op, patches: int) -> dict:
    """costs.filtered of one layer."""
    whole, tail.filtered = tail.filtered, [(op, patches)]
    found = costs.filtered(tail)["filtered"]
    tail.filtered = whole
    return found


def _map(model, tensor: int) -> str:
    _, height, width, channels = model.shape(tensor)
    return f"{height} x {width} x {channels}"


def _times(of: dict) -> list[str]:
    cells = []
    for what in ("macs", "saved"):
        cells += [f"{of[what]:,}", f"{of[f'plain_{what}']:,}", f"{of[f'plain_{what}'] / max(of[what], 1):.1f}"]
    return cells


if __name__ == "__main__":
    main()
