"""docs/continual.md and its picture, made from benchmarks/results/continual/*.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from learning_claims import HALF, words
from learning_docs import markdown

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results" / "continual"
FREEZING = ROOT / "benchmarks" / "results" / "freezing"  # of `tinylearn freeze`
TARGET, PICTURE = ROOT / "docs" / "continual.md", ROOT / "docs" / "continual.svg"
ORDER = ("prototype", "naive", "alone", "replay", "lightcl", "joint")

TEXT = """# What boards still know, task after task

Made by `benchmarks/continual.py` from `benchmarks/results/continual/`; do not edit. `tinylearn continual` makes any of
it again.

- A sequence is some tasks, one after the other; nothing of an earlier one comes back. Average: per cent of the queries
  of all tasks that are right after the last. Forgotten: points that a task was better at its best than in the end, over
  all tasks but the last; new classes beside the old ones count in, so it is not 0 where nothing is trained.
- `prototype`: the network stays as it is. `naive`: `adapt(method="full")` on each task as it comes. `alone`: its loss
  compares the task's own classes only. `replay`: `continual="replay"`, naive with old samples beside, as int8
  activations at the frozen part's end, in as many bytes as `lightcl` takes at its most, shared out evenly among the
  classes. `lightcl`: `continual="lightcl"`. `joint`: on all tasks at once.
- All train the last 6 layers for 10 steps at the model's own rate, and end with one prototype per class and task.
  Intervals are 95 %, over sequences, or over people where they come first in several.
- int8 is `firmware/tinylearn` on the simulator, to the bit; float32 the same in PyTorch, nothing rounded.

![accuracy after each task](continual.svg)

{shown}

`lightcl` forgets far less than half of what `naive` does. Its average is below replay's with the same bytes where each
task brings new classes, which compete with the old ones: there old samples say more than held maps. It is above
replay's where the same classes come from another wearer or in another session; beside prototypes alone, wearers gain
nothing by any training.

What `replay` keeps are samples, for ever; `lightcl` keeps a bit for each channel between tasks, and as many bytes as
replay only while it trains. Where replay is more accurate with them, that is the price of keeping no sample: a board
keeps them in RAM and in its save, some 3 KB of activations for each of glyph's, where a Pico has room for a few.

{tables}
{freezing}"""


def write() -> None:
    results = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
    if results:
        freezing = [json.loads(file.read_text()) for file in sorted(FREEZING.glob("*.json"))]
        TARGET.write_text(text(results, freezing))
        picture(results, PICTURE)


def text(results: list[dict], freezing: list[dict] = ()) -> str:
    tables = "\n\n".join(f"## {result['setting']['title']}\n\n{_table(result)}" for result in results)
    return TEXT.format(shown=_shown(results), tables=tables, freezing=_freezing(results, freezing))


def _rows(result: dict) -> list[dict]:
    return sorted(result["rows"], key=lambda row: (ORDER.index(row["strategy"]), row["arithmetic"] == "float32"))


def _table(result: dict) -> str:
    setting = result["setting"]
    lines = [["", "arithmetic", "average", "forgotten", "sequences"]]
    for row in _rows(result):
        cells = [f"{row[name]['mean']:.1f} ± {row[name]['interval']:.1f}" for name in ("average", "forgetting")]
        if row["strategy"] == "joint":
            cells[1] = ""
        lines.append([row["strategy"], row["arithmetic"], *cells, str(len(row["averages"]))])
    about = f"{setting['tasks']} tasks of {setting['way']} classes, {setting['shot']} examples of each; "
    return f"{about}seed {setting['seed']}, `{setting['model']['name']}`.\n\n{markdown(lines)}"


FROZEN = """
## What can be left as it is

`tinylearn freeze` (`benchmarks/continual.py --freeze`): two tasks, one after the other, int8, with everything before a
layer frozen. Plasticity: how well the second is learned, beside the best. Stability: how little the layer's maps of the
first task change while all layers learn the second. The freeze point, in bold, is the last layer whose plasticity is
within 1 % of the best; in a model's card boards obey it.
"""


def _freezing(results: list[dict], found: list[dict]) -> str:
    parts = [FROZEN] if found else []
    titles = {result["setting"]["sequence"]: result["setting"]["title"] for result in results}
    for one in found:
        setting, lines = one["setting"], [["trained from operator", "plasticity", "stability", "new task", "old task"]]
        for layer in one["layers"]:
            numbers = [f"{layer[name]:.3f}" for name in ("plasticity", "stability")]
            numbers += [f"{layer[name]:.1f}" for name in ("new", "old")]
            lines.append([f"**{layer['op']}**" if layer["op"] == one["freeze"] else str(layer["op"]), *numbers])
        about = f"{setting['pairs']} pairs of tasks, seed {setting['seed']}, `{setting['model']}`"
        parts.append(f"{titles.get(setting['sequence'], setting['sequence'])}: {about}.\n\n{markdown(lines)}\n")
    return "\n".join(parts)


def _shown(results: list[dict]) -> str:
    """Whether it shows what it should: half of naive's forgetting, as accurate as replay with the same bytes."""
    head = ["", "arithmetic", "forgotten, of naive's", "at most half", "average - replay's", "at least replay's"]
    lines = [[*head, "average - prototypes'"]]
    for result in results:
        for arithmetic in ("int8", "float32"):
            of = {row["strategy"]: row for row in result["rows"] if row["arithmetic"] == arithmetic}
            if {"naive", "replay", "lightcl", "prototype"} <= set(of):
                lines.append([result["setting"]["title"], arithmetic, *_verdicts(of)])
    return f"`lightcl` beside the others, in points, paired over the same sequences:\n\n{markdown(lines)}"


def _verdicts(of: dict[str, dict]) -> list[str]:
    ours, naive = (of[name]["forgetting"]["mean"] for name in ("lightcl", "naive"))
    replay, prototype = (_paired(of["lightcl"], of[name]) for name in ("replay", "prototype"))
    share = f"{100 * ours / naive:.0f} %" if naive > 0 else "nothing to forget"
    less, as_good = (("yes" if holds else "**no**") for holds in (ours <= HALF * naive, replay.mean() >= 0))
    return [share, less, words(replay), as_good, words(prototype)]


def _paired(a: dict, b: dict) -> np.ndarray:
    n = min(len(a["averages"]), len(b["averages"]))
    return np.array(a["averages"][:n]) - np.array(b["averages"][:n])


def picture(results: list[dict], path: Path) -> None:
    """Mean accuracy over the tasks so far, after each task, int8; the same results give the same file."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "tinylearn", "svg.fonttype": "none"})
    figure = Figure(figsize=(4.5 * len(results), 3.2), layout="constrained")
    for axes, result in zip(figure.subplots(1, len(results), squeeze=False).flat, results, strict=True):
        for row in _rows(result):
            if row["arithmetic"] == "int8" and row["strategy"] != "joint":
                axes.plot(range(1, len(row["after"]) + 1), row["after"], marker="o", label=row["strategy"])
        axes.set_title(result["setting"]["title"], fontsize=9)
        axes.set(xlabel="tasks learned", ylabel="%", xticks=range(1, result["setting"]["tasks"] + 1))
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})
