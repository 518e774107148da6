"""Few-shot accuracy of an armband backbone on wearers it has not seen: the nearest prototype by the cosine.

    python models/emg/evaluate.py --data ../shared/data/emg_gestures.npz --model MODEL.tlm --wearer 10000 --wearer ...

A wearer teaches eight gestures by N windows each, out of one block of five seconds of the first session. Asked are the
other blocks of that session, and those of the sessions after it, for which the armband was put on again.
--model takes a .tlm (in the simulator, the board's very bits), the float .onnx, or "none": no network, but the mean
envelope of each electrode, whitened by the other wearers' covariance, by the Euclidean distance.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "host")]

from tinylearn_host.pretraining.fewshot import Features, features_of, interval, prototypes  # noqa: E402

from models.emg import gestures  # noqa: E402
from models.emg.gestures import FRAMES, Block  # noqa: E402

SHOTS = (1, 5, 20)


def support(blocks: list[Block], shot: int) -> tuple[np.ndarray, np.ndarray]:
    """`shot` windows spread over the first block of each gesture: pictures, and whose gesture each is."""
    pictures, labels = [], []
    for gesture in sorted({block.gesture for block in blocks}):
        block = next(block for block in blocks if block.gesture == gesture)
        places = np.linspace(0, block.places - 1, shot + 2).astype(int)[1:-1]
        pictures += [block.picture(place) for place in places]
        labels += [gesture] * shot
    return np.array(pictures), np.array(labels)


def query(blocks: list[Block]) -> tuple[np.ndarray, np.ndarray]:
    """All windows of the blocks, side by side."""
    drawn = [(block.picture(at), block.gesture) for block in blocks for at in range(0, block.places, FRAMES)]
    pictures, labels = zip(*drawn, strict=True)
    return np.array(pictures), np.array(labels)


def first_session(blocks: list[Block]) -> tuple[list[Block], list[Block], list[Block]]:
    """One wearer's blocks: the first of each gesture, the others of the first session, and the later sessions'."""
    session = min(block.session for block in blocks)
    now = [block for block in blocks if block.session == session]
    firsts = [next(b for b in now if b.gesture == gesture) for gesture in sorted({b.gesture for b in now})]
    others = [block for block in now if not any(block is first for first in firsts)]
    return firsts, others, [block for block in blocks if block.session != session]


def table(blocks: list[Block], features: Features, euclidean: bool = False) -> list[tuple[str, np.ndarray]]:
    """(task, accuracy of each wearer)"""
    rows: dict[str, list[float]] = {}
    for wearer in sorted({block.wearer for block in blocks}):
        firsts, others, later = first_session([block for block in blocks if block.wearer == wearer])
        asked = {"the same session": query(others), "later sessions": query(later)}
        known = {when: (features(pictures), labels) for when, (pictures, labels) in asked.items()}
        for shot in SHOTS:
            pictures, labels = support(firsts, shot)
            taught = features(pictures)
            for when, (queries, truth) in known.items():
                answers = nearest(taught, labels, queries, euclidean)
                rows.setdefault(f"{shot} windows of each, {when}", []).append(100 * (answers == truth).mean())
    return [(task, np.array(results)) for task, results in rows.items()]


def nearest(taught: np.ndarray, labels: np.ndarray, queries: np.ndarray, euclidean: bool) -> np.ndarray:
    if not euclidean:
        classes, rows = prototypes(taught, labels)
        return classes[np.argmax(queries @ rows.T, 1)]
    classes = np.unique(labels)
    means = np.stack([taught[labels == label].mean(0) for label in classes])
    return classes[np.argmin(((queries[:, None] - means) ** 2).sum(2), 1)]


def whitened(blocks: list[Block]) -> Features:
    """No network: the mean of each electrode's frames, in units in which gestures of these wearers spread alike."""
    rest = []
    for of_one in {(b.wearer, b.session, b.gesture): None for b in blocks}:
        same = [b for b in blocks if (b.wearer, b.session, b.gesture) == of_one]
        means = query(same)[0].mean(1)
        rest.append(means - means.mean(0))
    whiten = np.linalg.cholesky(np.linalg.inv(np.cov(np.concatenate(rest).T)))
    return lambda pictures: pictures.mean(1) @ whiten


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True), help="emg_gestures.npz")
@click.option("--model", "models", multiple=True, required=True, help='A .tlm, a float .onnx, or "none"; repeatable.')
@click.option("--wearer", "wearers", multiple=True, required=True, help="One that the model has not seen; repeatable.")
def main(data: str, models: tuple[str, ...], wearers: tuple[str, ...]) -> None:
    """Few-shot accuracy: mean over wearers and its 95 % confidence interval."""
    blocks = gestures.load(data)
    theirs = [block for block in blocks if block.wearer in wearers]
    for model in models:
        click.echo(Path(model).name)
        if model == "none":
            rows = table(theirs, whitened([b for b in blocks if b.wearer not in wearers]), euclidean=True)
        else:
            rows = table(theirs, features_of(model))
        for task, results in rows:
            click.echo(f"  {task:40} {results.mean():5.1f} +- {interval(results):.1f}")


if __name__ == "__main__":
    main()
