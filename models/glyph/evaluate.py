"""Few-shot accuracy of a backbone: the nearest prototype by the cosine, over episodes drawn with a seed.

`python models/glyph/evaluate.py` gives the table of the card; --model takes a .tlm (in the simulator, the board's very
bits) or the float .onnx. As on the board, a class is the mean of its examples' features.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "host"))

from tinylearn_host import digits  # noqa: E402
from tinylearn_host.simulator import Simulator  # noqa: E402

Features = Callable[[np.ndarray], np.ndarray]  # pixels uint8 [N, 28, 28] -> float [N, n], zero point taken off


def features_of(model: str | Path) -> Features:
    """The backbone in `model` as a function: a .tlm in the simulator or a float .onnx in ONNX Runtime."""
    if Path(model).suffix == ".tlm":
        return _integer_features(model)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: np.concatenate(
        [session.run(None, {name: x[None, None] / np.float32(255)})[0] for x in pixels]
    )


def _integer_features(model: str | Path) -> Features:
    simulator = Simulator(model)
    zero_point = simulator.model.tensors[simulator.model.output].zero_point

    def features(pixels: np.ndarray) -> np.ndarray:
        x = (pixels.astype(np.int16) - 128).astype(np.int8)
        return simulator.run_batch(x).reshape(len(x), -1).astype(np.float32) - zero_point

    return features


def accuracies(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    way: int,
    shot: int,
    queries: int,
    episodes: int = 300,
    seed: int = 1,
) -> np.ndarray:
    """Accuracy in percent of each few-shot task. features [N, n], labels [N]; `queries` per class at most."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    results = np.empty(episodes)
    for episode in range(episodes):
        taken = [random.permutation(members[k])[: shot + queries] for k in random.permutation(len(members))[:way]]
        prototypes = np.stack([features[rows[:shot]].mean(0) for rows in taken])
        asked = np.concatenate([features[rows[shot:]] for rows in taken])
        truth = np.repeat(np.arange(way), [len(rows) - shot for rows in taken])
        prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True) + 1e-9
        results[episode] = 100 * (np.argmax(asked @ prototypes.T, 1) == truth).mean()
    return results


def interval(results: np.ndarray) -> float:
    """Half of the 95 % confidence interval of the mean over episodes."""
    return float(1.96 * results.std(ddof=1) / len(results) ** 0.5)


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
