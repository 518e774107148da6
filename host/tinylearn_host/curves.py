"""How training went, as a line of characters for a terminal and as a picture in a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tinylearn_host.errors import BAD_DATA, USAGE, TinylearnError

BARS = "▁▂▃▄▅▆▇█"
FORMATS = (".png", ".svg", ".pdf")


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The values from left to right as bars, from zero to the largest; means where there are more than fit."""
    if not values:
        return ""
    count = min(width, len(values))
    cuts = [len(values) * i // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]
    top = max(means) or 1
    return "".join(BARS[min(len(BARS) - 1, int(max(0, v) / top * len(BARS)))] for v in means)


def check(path: Path) -> None:
    """Raise exit code 2 where `save` could not write such a file: before anything is trained."""
    if path.suffix not in FORMATS:
        raise TinylearnError(f"--plot writes {', '.join(FORMATS)}, not {path.name}", USAGE)
    _matplotlib()


def save(steps: Sequence[dict], path: Path, title: str) -> None:
    """Loss and accuracy over the steps of an Outcome, to a .png, .svg or .pdf."""
    figure_class = _matplotlib()
    figure = figure_class(figsize=(7, 4), layout="constrained")
    x = [step["step"] for step in steps]
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    loss.plot(x, [step["loss"] for step in steps], color="tab:blue")
    loss.set(ylabel="loss", title=title, ylim=(0, None))
    accuracy.plot(x, [100 * step["accuracy"] for step in steps], color="tab:green")
    accuracy.set(ylabel="accuracy on what is taught, %", xlabel="step", ylim=(0, 102))
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
    _write(figure, path)


def save_memory(front: Sequence[tuple[int, float]], tried: Sequence[tuple[int, float]], path: Path, title: str) -> None:
    """Accuracy in percent against bytes of RAM: what schemes promise, and what those that were tried reach."""
    figure = _matplotlib()(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.step([b / 1024 for b, _ in front], [a for _, a in front], where="post", label="promised by contributions")
    axes.plot(
        [b / 1024 for b, _ in tried], [a for _, a in tried], "o", color="tab:red", label="tried on other episodes"
    )
    axes.set(xlabel="RAM that adapting takes, KB", ylabel="accuracy, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    _write(figure, path)


def _write(figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise TinylearnError(f"cannot write {path}: {error.strerror}", BAD_DATA) from None


def _matplotlib():
    """The class Figure: without pyplot, so that no window system is asked for."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TinylearnError("--plot needs matplotlib: pip install 'tinylearn[plot]'", USAGE) from None
    return Figure
