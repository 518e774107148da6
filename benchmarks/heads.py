"""Accuracy of the heads that a board teaches, and of the same methods in float64: `python benchmarks/heads.py`.

digits    scikit-learn's digits on the features of models/glyph, ten classes (few-shot episodes)
armband   eight gestures of a wearer never seen, features the logarithms of 8 electrodes' RMS over 240 ms, no network.
          Support from one block of 5 s of each gesture, asked about the other blocks. --armband names emg_gestures.npz
          (`emg` int8 [n, 8] 200 Hz, `label` per sample, and `end`, `participant`, `session`, `gesture` of each
          recording); without it this part is left out.

The integer heads are those of firmware/tinylearn on the simulator, so a board gives the very same answers. Each line
has the mean over episodes or wearers with its 95 % confidence interval, and the difference to float64.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "firmware"), str(ROOT / "models" / "glyph")]

from tinylearn_host import digits, simulator  # noqa: E402
from tinylearn_host.learning import float_heads  # noqa: E402

simulator.on_path()
from tinylearn import teaching  # noqa: E402

HEADS = ("prototype", "euclidean", *float_heads.CLOSED, "last_layer", "auto")

# One few-shot task: features int8 less no zero point, classes 0 .. k-1.
Episode = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # support, its classes, queries, their classes


# ---- The heads in integers -------------------------------------------------------------------------------------------


def integer_answers(episode: Episode, method: str, zero: int) -> np.ndarray:
    """The classes that the board's head gives the queries."""
    support, classes, queries, _ = episode
    options = {"method": "last_layer", "metric": "euclidean" if method == "euclidean" else "cosine", "seed": 1}
    options.update(
        {"steps": float_heads.STEPS, "rate": float_heads.RATE, "shrinkage": None, "more": "refine", "head": None}
    )
    model = SimpleNamespace(
        f=bytes(support.shape[1]), f_zero=zero, f_scale=np.float32(1 / 64).tobytes(), head=None, held={}, memory=None
    )
    model.forward_bytes, model._find_panels = lambda: 0, lambda: None  # it has no arena to lend
    task = teaching.Task(model, options)
    task.labels = list(range(int(classes.max()) + 1))
    features = memoryview(bytearray(support.tobytes()))
    rows = teaching._rows_of(task, memoryview(bytearray(classes.astype(np.uint8))))
    if method == "auto":
        method = teaching.choose(task, features, rows, teaching.possible(task, len(rows)))
        CHOSEN[method] = CHOSEN.get(method, 0) + 1
    head = teaching.fit(task, "prototype" if method == "euclidean" else method, features, rows)
    return np.array([head.nearest(x) for x in queries])


CHOSEN: dict[str, int] = {}

# ---- The heads in float64 --------------------------------------------------------------------------------------------

FLOAT = float_heads.HEADS


def float_answers(episode: Episode, method: str, zero: int) -> np.ndarray:
    support, classes, queries, _ = episode
    head = FLOAT[method](support.astype(float) - zero, classes)
    return float_heads.answers(head, queries.astype(float) - zero)


# ---- Tasks -----------------------------------------------------------------------------------------------------------


def digit_episodes(shots: int, episodes: int) -> Iterator[list[Episode]]:
    """Ten classes, `shots` examples and 20 queries each, from the glyph model's features."""
    random = np.random.default_rng(1)
    features, labels = digit_features()
    members = [np.flatnonzero(labels == k) for k in range(10)]
    for _ in range(episodes):
        drawn = [random.permutation(rows)[: shots + 20] for rows in members]
        support = np.concatenate([rows[:shots] for rows in drawn])
        queries = np.concatenate([rows[shots:] for rows in drawn])
        yield [(features[support], labels[support], features[queries], labels[queries])]


def digit_features() -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = digits.load()
    network = simulator.Simulator(ROOT / "models" / "glyph" / "glyph.tlm")
    x = (pixels.astype(np.int16) - 128).astype(np.int8)
    return network.run_batch(x).reshape(len(x), -1), labels


WINDOW, STRIDE, RATE_HZ = 48, 24, 200


def blocks_of(path: str) -> dict[str, dict[int, list[np.ndarray]]]:
    """Features int8 [windows, 8] of each 5 s block of each gesture of each wearer, first session.

    The first half second of a block is left out: the hand is still on its way.
    """
    data = np.load(path)
    emg, label, ends = data["emg"], data["label"], data["end"]
    found: dict[str, dict[int, list[np.ndarray]]] = {}
    for recording, end in enumerate(ends):
        if data["session"][recording] != 1:
            continue
        start = ends[recording - 1] if recording else 0
        gesture, shown = int(data["gesture"][recording]), label[start:end]
        if gesture:
            edges = np.concatenate([[0], np.flatnonzero(np.diff(shown)) + 1, [len(shown)]])
            spans = [(a, b) for a, b in itertools.pairwise(edges) if shown[a] == gesture]
        else:  # rest goes on for a minute: the same rhythm
            spans = [(a, a + 5 * RATE_HZ) for a in range(0, len(shown) - 5 * RATE_HZ, 10 * RATE_HZ)]
        blocks = [electrodes(emg[start + a + RATE_HZ // 2 : start + b]) for a, b in spans]
        found.setdefault(str(data["participant"][recording]), {})[gesture] = [b for b in blocks if len(b) >= 20]
    return {wearer: of for wearer, of in found.items() if len(of) == 8 and all(len(b) >= 2 for b in of.values())}


def electrodes(emg: np.ndarray) -> np.ndarray:
    """log2 of the RMS of windows of 240 ms, 32 steps per octave from -1: int8 [windows, 8]."""
    windows = np.array([emg[a : a + WINDOW] for a in range(0, len(emg) - WINDOW + 1, STRIDE)], np.float64)
    logarithm = np.log2(np.sqrt((windows.reshape(len(windows), WINDOW, 8) ** 2).mean(1)) + 0.5)
    return np.clip(np.rint((logarithm + 1) * 32) - 128, -128, 127).astype(np.int8)


def armband_episodes(path: str, shots: int) -> Iterator[list[Episode]]:
    """For each wearer, the episodes of every block as support."""
    random = np.random.default_rng(1)
    for of in blocks_of(path).values():
        tasks = []
        for block in range(min(len(blocks) for blocks in of.values())):
            support = [random.permutation(of[g][block])[:shots] for g in range(8)]
            queries = [np.concatenate([b[::3] for i, b in enumerate(of[g]) if i != block]) for g in range(8)]
            classes = [np.repeat(np.arange(8), [len(part) for part in parts]) for parts in (support, queries)]
            tasks.append((np.concatenate(support), classes[0], np.concatenate(queries), classes[1]))
        yield tasks


# ---- Report ----------------------------------------------------------------------------------------------------------


def interval(values: np.ndarray) -> float:
    """Half of the 95 % confidence interval of the mean."""
    return float(1.96 * values.std(ddof=1) / len(values) ** 0.5)


def measure(name: str, units: list[list[Episode]], zero: int) -> list[dict]:
    """Accuracy per head: the mean over units (episodes, or wearers with the mean over their episodes)."""
    rows = []
    for method in HEADS:
        CHOSEN.clear()
        found = np.array([[_accuracy(e, integer_answers(e, method, zero)) for e in unit] for unit in units]).mean(1)
        row = {"task": name, "head": method, "int": found.mean(), "ci": interval(found), "units": len(units)}
        if method in FLOAT:
            wanted = np.array([[_accuracy(e, float_answers(e, method, zero)) for e in unit] for unit in units]).mean(1)
            row["float"], row["difference"] = wanted.mean(), (found - wanted).mean()
            row["difference_ci"] = interval(found - wanted)
        else:
            row["chosen"] = dict(CHOSEN)
        click.echo(_line(row))
        rows.append(row)
    return rows


def _accuracy(episode: Episode, answers: np.ndarray) -> float:
    return 100 * float((answers == episode[3]).mean())


def _line(row: dict) -> str:
    line = f"{row['task']:20} {row['head']:14} {row['int']:6.2f} +- {row['ci']:.2f}"
    if "float" in row:
        return (
            f"{line}   float64 {row['float']:6.2f}, difference {row['difference']:+.2f} +- {row['difference_ci']:.2f}"
        )
    return f"{line}   chosen: {', '.join(f'{name} {count}' for name, count in row['chosen'].items())}"


@click.command()
@click.option("--armband", type=click.Path(exists=True, dir_okay=False), help="emg_gestures.npz.")
@click.option("--episodes", default=100, show_default=True, help="Of the digits.")
@click.option("--json", "path", type=click.Path(dir_okay=False), help="Write the figures there, too.")
def main(armband: str | None, episodes: int, path: str | None) -> None:
    """Accuracy of the integer heads beside float64."""
    rows = []
    for shots in (1, 3, 5, 20):
        rows += measure(f"digits {shots}-shot", list(digit_episodes(shots, episodes)), zero=-128)
    for shots in (1, 5, 20) if armband else ():
        rows += measure(f"armband {shots} windows", list(armband_episodes(armband, shots)), zero=-128)
    if path:
        Path(path).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
