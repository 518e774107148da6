"""Few-shot accuracy of a backbone: the nearest prototype by the cosine, over episodes drawn with a seed.

`python models/glyph/evaluate.py` gives the table of the card; --model takes a .tlm (in the simulator, the board's very
bits) or the float .onnx. As on the board, a class is the mean of its examples' features.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "host"))

from tinylearn_host import digits  # noqa: E402
from tinylearn_host.pretraining.fewshot import Features, accuracies, features_of, interval  # noqa: E402


def characters(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drawings [classes, 20, 28, 28] as one set of examples with labels."""
    return images.reshape(-1, 28, 28), np.repeat(np.arange(len(images)), images.shape[1])


def table(features: Features, held_out: np.ndarray | None = None, **options) -> list[tuple[str, np.ndarray]]:
    """(task, accuracy of each episode) of the tasks of the card; `held_out` drawings [classes, 20, 28, 28]."""
    pixels, labels = digits.load()
    known = features(pixels)
    rows = []
    for way, shot in ((10, 1), (10, 5), (5, 10)):
        results = accuracies(known, labels, way=way, shot=shot, queries=20, **options)
        rows.append((f"digits {way}-way {shot}-shot", results))
    if held_out is not None:
        pixels, labels = characters(held_out)
        known = features(pixels)
        for way, shot in ((5, 1), (5, 5), (20, 1), (20, 5)):
            results = accuracies(known, labels, way=way, shot=shot, queries=15, **options)
            rows.append((f"unseen characters {way}-way {shot}-shot", results))
    return rows


@click.command()
@click.option(
    "--model", "models", multiple=True, type=click.Path(exists=True), help="A .tlm or float .onnx; repeatable."
)
@click.option("--episodes", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(models: tuple[str, ...], episodes: int, seed: int) -> None:
    """Few-shot accuracy on scikit-learn's digits: mean over episodes and its 95 % confidence interval."""
    for model in models or (HERE / "glyph.onnx", HERE / "glyph.tlm"):
        click.echo(Path(model).name)
        for task, results in table(features_of(model), episodes=episodes, seed=seed):
            click.echo(f"  {task:24} {results.mean():5.1f} +- {interval(results):.1f}")


if __name__ == "__main__":
    main()
