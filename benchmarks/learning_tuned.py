"""What defaults were chosen by: rows on episodes of another seed than those of the tables, for docs/learning.md.

results/tuning/seed-2.json: groups of rows over the same episodes, and which of them the others are compared with
(`base`). In float32, many at a time: it is what `tinylearn benchmark --seed 2 --arithmetic float32` makes, with every
head over the same trained features. A row that some tasks lack is compared over the others.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from learning_claims import mean_of_means

FILE = Path(__file__).resolve().parent / "results" / "tuning" / "seed-2.json"

ABOUT = """
## What defaults were chosen by

Other episodes than those of the tables: seed {seed}, {arithmetic}, {steps} steps. Points beside the first row of each
table, paired, on the mean of the tasks that both have seen; then the tasks where that is least and most.
"""


def text() -> str:
    """The section of docs/learning.md; empty where there are no results."""
    if not FILE.exists():
        return ""
    found = json.loads(FILE.read_text())
    parts = [ABOUT.format(**found).rstrip()]
    for group in found["groups"]:
        parts += [f"{group['title']}:", table(group)]
    return "\n\n".join(parts) + "\n"


def table(group: dict) -> str:
    rows = {row["name"]: {task: np.array(v) for task, v in row["accuracies"].items()} for row in group["rows"]}
    base = rows.pop(group["base"])
    lines = [
        "| | difference | tasks | least | most |",
        "| --- | ---: | ---: | --- | --- |",
        f"| {group['base']} | | {len(base)} | | |",
    ]
    for name, row in rows.items():
        each = differences(row, base)
        mean, half = mean_of_means(list(each.values()))
        ends = [f(each, key=lambda task: each[task].mean()) for f in (min, max)]
        cells = [f"{each[task].mean():+.2f} ({task})" for task in ends]
        lines.append(f"| {name} | {mean:+.2f} ± {half:.2f} | {len(each)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(row: dict, base: dict) -> dict[str, np.ndarray]:
    """Of each task, over the episodes that both have."""
    found = {}
    for task in row:
        n = min(len(row[task]), len(base.get(task, ())))
        if n:
            found[task] = row[task][:n] - base[task][:n]
    return found
