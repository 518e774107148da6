"""docs/learning.md and its picture, made from benchmarks/results/learning/*.json."""

from __future__ import annotations

import json
from pathlib import Path

import cards
import learning_claims
import learning_tuned
from learning_claims import paired, rows_of, task_name, words
from tinylearn_host.device import kb
from tinylearn_host.learning import report

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results" / "learning"
CLASSES = ROOT / "benchmarks" / "results" / "classes"  # by a backbone that was not meta-trained
SEQUENCES = ROOT / "benchmarks" / "results" / "continual"  # of benchmarks/continual.py
SEARCHES = ROOT / "benchmarks" / "results" / "search"  # of `tinylearn search`
REPLAYS = ROOT / "benchmarks" / "results" / "replay"  # of `tinylearn benchmark --replay`
TARGET, PICTURE = ROOT / "docs" / "learning.md", ROOT / "docs" / "learning.svg"
SLOPE = 1.0  # points that int8 may be off float32

TEXT = """# How well boards learn

Made by `make bench-learning` from `benchmarks/results/learning/`; do not edit. `tinylearn benchmark` makes any of it
again, and takes files of your own.

- Integers are those of `firmware/tinylearn` on the simulator: what a board answers, to the bit (`tinylearn benchmark
  --replay` asks one). int8 and int16 are the width of gradients; weights and activations are int8 throughout.
- float32 is the same loop on the same network in PyTorch: same episodes, same augmented views in the same order, same
  choice of layers and of the head, plain SGD, nothing rounded.
- Intervals are 95 %, over episodes, or over people where each has several. "int8 - float32" is paired: over the same
  episodes.
- Backbones are those of `models/`, trained again without the alphabets, the speaker, the wearers that are asked about.
  Every query comes from other recordings than the support; of the armband, from other blocks of 5 s.
- RAM is what adapting takes at its peak beyond model and code. Saved is what of one sample waits for the backward.
  MACs are those of all steps; training that stops early takes fewer. Seconds are forecast for a Pico at 125 MHz from
  the forward's cycles on the emulated one. Flash is what `save()` writes.
- Runs are of 10 steps, in the RAM that a Pico has beside each backbone. A row that has seen fewer episodes than its
  task says so, and is compared over those. A task, row or cost that is missing has not been run yet.
- `tinytrain` chooses by `criterion="fisher"`, the default; "criterion both" is the paper's own (docs/training.md).
- `update momentum` and so on are ablations in float32 of what a step is (`float_updates.py` beside the benchmark);
  `update integers` is without quantisation-aware scaling. A float32 head beside the int8 one: the first three methods.
- "none" is the model as it came: its own classifier's answer, or chance where it has none of the classes. "full, all
  layers" is fine-tuning of everything, whatever RAM it takes, at a rate of 0.01.
- One example of each class, near what a backbone was trained on, hardly moves weights: there the differences say little
  of training. They do where training is worth points, as with `negatives`.

![accuracy against RAM](learning.svg)

## What it shows

What was to be shown, and whether these results show it; differences in points, paired over the same episodes.

{claims}

- `auto` is within half a point of the best row of every task. With one sample of a class it asks views of the samples,
  and trains where they are not told apart with a probability of 0.9: on words of a new speaker, where that is worth a
  point for half a minute on a Pico, and hardly on characters, where it is worth nothing. It was 0.6, and
  `auto` more than half a point behind on those words, until 0.9 was chosen on seed 2. With five samples of negatives it
  is not behind `full`, since training reaches further back than it did.
- `tinytrain` in what a Pico has is better than all layers in float32 on a PC, on the mean. Both end with the same
  choice of a head, at the better of the rates that were tried on other episodes. Keywords and negatives are where it is
  better (at half the rate all layers gain on keywords, and lose as much elsewhere, see below). On
  spectrograms, far from what the backbone was made for, it is as good, since it trains from the layer before the last
  six on. Without that task the mean is {elsewhere}.
- `bias` on keywords is the one row that integers cost more than a point. The features of that network, imported as it
  is, fill a small part of int8's steps, and the less round covariance, which suits it, weighs small differences.
- Twenty classes of five samples leave no room for training in 60 KB: the methods that train refuse, and say how much it
  takes; `auto` makes a head. That task is not in their means.
- `filter=2` loses three quarters of a point on the mean of these tasks, for less than a third of the gradients' work
  and bytes on the layers that it filters; where training is worth most, on negatives, it is more than a point for
  `full`. All of the layers have room without it here: where RAM is not what is missing it is not worth it.
- `filter=4` leaves one gradient for all pixels of a 4 x 4 map and four for a 7 x 7 one: nothing of where in the picture
  something is. The paper's maps are larger.
- Neither of the paper's ratios is reached: 1,098x and 7.68x are of networks of 300,000 parameters and more in 42 layers
  and more, and count tensors. These have 40,000 in 11, and bytes here are all that an arena takes, scratch of the
  kernels too.

- `lightcl` loses to replay with the same bytes where each task brings new classes, which compete with the old ones
  ([what boards still know](continual.md)).

The backbones are meta-trained for every method alike, which the paper's tables do for TinyTrain only.
{classes}

## Accuracy of each method

int8, in per cent of queries, over the episodes that all rows of a task have seen; the best of each in bold.

{overview}

## int8 beside float32

Methods that train the network, in per cent of queries; off by more than {slope:.0f} point in bold.

{differences}

{tasks}
{tuned}{searches}{replays}"""


def write() -> None:
    results = load()
    TARGET.write_text(text(results))
    cards.write()
    measured = [result for result in results if any(row["costs"] for row in result["rows"])]
    if measured:
        picture(measured, PICTURE)


def load(folder: Path = FOLDER) -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


def text(results: list[dict]) -> str:
    return TEXT.format(
        slope=SLOPE,
        claims=_claims(results),
        elsewhere=_elsewhere(results),
        overview=_overview(results),
        differences=_differences(results),
        tasks="\n\n".join(_task(result) for result in results),
        classes=_classes(results, load(CLASSES)),
        tuned=learning_tuned.text(),
        searches=_searches(load(SEARCHES)),
        replays=_replays(load(REPLAYS)),
    )


# ---- Tables ----------------------------------------------------------------------------------------------------------


def _task(result: dict) -> str:
    setting = result["setting"]
    unseen = f"Unseen: {', '.join(setting['groups'])}. " if setting["groups"] else ""
    about = f"{setting['episodes']} episodes, seed {setting['seed']}, `{setting['model']['name']}`. {unseen}"
    return f"## {report.title(setting)}\n\n{about.strip()}\n\n{_table(result)}"


def _table(result: dict) -> str:
    rows, asked = rows_of(result), result["setting"]["episodes"]
    numbers = [name for name in ("int8", "int16", "float32", "float64") if any(name in of for of in rows.values())]
    lines = [["", *numbers, "int8 - float32", "RAM", "saved", "MACs", "s on a Pico", "flash"]]
    for method, of in rows.items():
        accuracies = [_accuracy(of[n], asked) if n in of else "" for n in numbers]
        lines.append([method, *accuracies, difference(of), *_costs(of.get("int8", {}).get("costs", {}))])
    return markdown(lines)


def _accuracy(row: dict, asked: int) -> str:
    fewer = len(row["accuracies"]) < asked
    return f"{row['mean']:.1f} ± {row['interval']:.1f}" + (f" ({len(row['accuracies'])} episodes)" if fewer else "")


def _costs(known: dict) -> list[str]:
    if not known:
        return [""] * 5
    saved = kb(known["saved"]) if known["saved"] else ""
    return [kb(known["ram"]), saved, f"{known['macs'] / 1e6:,.0f} M", f"{known['seconds']:,.0f}", kb(known["delta"])]


def difference(of: dict[str, dict], width: str = "int8") -> str:
    """Paired, with its interval; bold where it is more than SLOPE below."""
    if width not in of or "float32" not in of:
        return ""
    each = paired(of[width], of["float32"])
    return f"**{words(each)}**" if each.mean() < -SLOPE else words(each)


def _differences(results: list[dict]) -> str:
    lines = [["task", "method", "int8 - float32", "int16 - float32"]]
    for result in results:
        for name, of in rows_of(result).items():
            if of.get("int8", {}).get("options") and "float32" in of:
                lines.append([task_name(result), name, difference(of), difference(of, "int16")])
    return markdown(lines)


def _claims(results: list[dict]) -> str:
    claims = [*learning_claims.all_of(results), *learning_claims.of_sequences(load(SEQUENCES))]
    lines = [["claim", "found", "holds"], *(claim.cells() for claim in claims)]
    return markdown(lines)


def _elsewhere(results: list[dict]) -> str:
    """`tinytrain` in int8 beside all layers in float32, on the mean of all tasks but spectrograms."""
    rows = [rows_of(result) for result in results if result["setting"]["task"] != "spectrograms"]
    pairs = [(of.get("tinytrain", {}).get("int8"), of.get(learning_claims.WHOLE, {}).get("float32")) for of in rows]
    differences = [paired(*pair) for pair in pairs if all(pair)]
    return "{:+.2f} ± {:.2f}".format(*learning_claims.mean_of_means(differences)) if differences else "not measured"


METHODS = ("none", "prototype", "closed_form", "last_layer", "bias", "scheme", "tinytrain", "auto", "full")


def _overview(results: list[dict]) -> str:
    """A line for each task, over the episodes that all of its rows have seen; the last column is the float32
    fine-tuning of everything."""
    lines = [["task", "episodes", *METHODS, f"{learning_claims.WHOLE}, float32"]]
    for result in results:
        rows = rows_of(result)
        found = [rows.get(name, {}).get("int8") for name in METHODS]
        found.append(rows.get(learning_claims.WHOLE, {}).get("float32"))
        n = min(len(row["accuracies"]) for row in found if row)
        means = [f"{sum(row['accuracies'][:n]) / n:.1f}" if row else "" for row in found]
        best = max((mean for mean in means[:-1] if mean), key=float)
        cells = [f"**{mean}**" if mean == best and at < len(METHODS) else mean for at, mean in enumerate(means)]
        lines.append([task_name(result), str(n), *cells])
    return markdown(lines)


def markdown(lines: list[list[str]]) -> str:
    """A table: the first line is its head; words to the left, numbers to the right."""
    head, *body = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


CLASSIFIED = """
Without it: by a backbone that has told as many of the same drawings apart, class by class (`models/glyph/recipe.py
--objective classes`), int8, over the same episodes. Meta-training is worth half a point to one on characters, which it
was made for, next to nothing on digits, and loses one to four on negatives, with whatever method: less of it where the
network is trained.
"""


def _classes(results: list[dict], others: list[dict]) -> str:
    """Every method with and without meta-training, int8, over the same episodes."""
    known = {task_name(result): learning_claims.rows_of(result) for result in results}
    parts = [CLASSIFIED] if others else []
    for other in others:
        name, lines = task_name(other), [["method", "classified", "meta-trained", "meta-trained - classified"]]
        for method, of in learning_claims.rows_of(other).items():
            mine = known.get(name, {}).get(method, {}).get("int8")
            if "int8" in of and mine and method != "none":
                n = min(len(of["int8"]["accuracies"]), len(mine["accuracies"]))
                means = [sum(row["accuracies"][:n]) / n for row in (of["int8"], mine)]
                lines.append([method, *(f"{mean:.1f}" for mean in means), words(paired(mine, of["int8"]))])
        episodes = max((len(of["int8"]["accuracies"]) for of in learning_claims.rows_of(other).values()), default=0)
        parts.append(f"\n{name}, {episodes} episodes:\n\n{markdown(lines)}")
    return "\n".join(parts)


SEARCHED = """
## Schemes that a search found

`tinylearn search` (`benchmarks/learning.py --search`): points that training brings over prototypes alone, by what is
trained, in fine-tunes of 10 steps over at most {episodes} episodes that none of the rows above is of; then, for each
budget, the scheme that promises most beside the rule of thumb that models come with, on as many other episodes. In per
cent of queries. So few episodes tell far from near: a difference of two points or less is chance.
"""


def _searches(results: list[dict]) -> str:
    """Contributions of layers, and what schemes were worth, of each model."""
    if not results:
        return ""
    parts = [SEARCHED.format(episodes=max(result["setting"]["episodes"] for result in results)).rstrip()]
    for result in results:
        parts.append(f"{task_name(result)}, `{result['setting']['model']}`:")
        parts += [_contributions(result), _budgets(result)]
    return "\n\n".join(parts) + "\n"


def _contributions(result: dict) -> str:
    gains = {(one["operator"], one["share"]): f"{one['gain']:+.1f}" for one in result["weights"]}
    shares = sorted({share for _, share in gains})
    lines = [["operator", "biases from here on", *(f"its weights, {share} of the channels" for share in shares)]]
    for operator, bias in zip(result["operators"], result["bias"][1:], strict=True):
        lines.append([str(operator), f"{bias:+.1f}", *(gains.get((operator, share), "") for share in shares)])
    return markdown(lines)


def _budgets(result: dict) -> str:
    lines = [["RAM", "prototypes alone", "found", "which takes", "rule of thumb"]]
    for row in result["budgets"]:
        found = [f"{row['found']:.1f}", kb(row["bytes"])] if row["bytes"] else ["", ""]
        usual = f"{row['rule_of_thumb']:.1f}" if row["rule_of_thumb"] is not None else ""
        lines.append([kb(row["budget"]), f"{row['head_alone']:.1f}", *found, usual])
    return markdown(lines)


def _replays(results: list[dict]) -> str:
    """Episodes that a board has been given, too."""
    lines = [["task", "board", "episode", "method", "answers", "s there"]]
    for result in results:
        setting = result["setting"]
        for row in result["rows"]:
            own = {k: v for k, v in row["options"].items() if k not in (*learning_claims.COMMON, "width")}
            method = ", ".join([row["method"], *(f"{k} {v}" for k, v in own.items())])
            bits = "the same bits" if row["same"] else "**different**"
            lines.append(
                [task_name(result), setting["board"], str(row["number"]), method, bits, f"{row['seconds']:.1f}"]
            )
    if len(lines) == 1:
        return ""
    return (
        f"\n## Episodes replayed on boards\n\n`tinylearn benchmark --replay`, drawn at random.\n\n{markdown(lines)}\n"
    )


# ---- Picture ---------------------------------------------------------------------------------------------------------


def picture(results: list[dict], path: Path) -> None:
    """Accuracy against RAM, one axes for each task; the same results give the same file."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "tinylearn", "svg.fonttype": "none"})
    columns = 3
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(4 * columns, 3 * lines), layout="constrained")
    for axes, result in zip(figure.subplots(lines, columns, squeeze=False).flat, results, strict=False):
        _points(axes, result)
    for axes in list(figure.axes)[len(results) :]:
        axes.set_axis_off()
    figure.savefig(path, metadata={"Date": None})


def _points(axes, result: dict) -> None:
    for method, of in rows_of(result).items():
        row = of.get("int8")
        if row and row["costs"]:
            x = row["costs"]["ram"] / 1024
            axes.errorbar(x, row["mean"], row["interval"], fmt="o", capsize=2)
            axes.annotate(method, (x, row["mean"]), xytext=(5, 4), textcoords="offset points", fontsize=7)
    axes.set_title(task_name(result), fontsize=9)
    axes.set(xscale="log", xlabel="RAM, KB", ylabel="%")
    axes.margins(0.15)
