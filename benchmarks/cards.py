"""What the cards of models/ say of methods, memory and time, out of benchmarks/results: `python benchmarks/cards.py`.

A card keeps two lines, START and END; what stands between them is made here. Accuracy is that of tinylearn benchmark,
of the same recipe without what is asked about; a task that has not been run is not there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "firmware"), str(ROOT / "benchmarks")]

from learning_claims import COMMON  # noqa: E402
from tinylearn_host import boards, paths, sizes, tlm  # noqa: E402
from tinylearn_host.device import kb  # noqa: E402
from tinylearn_host.learning import report  # noqa: E402

START, END = "<!-- made by benchmarks/cards.py -->", "<!-- end -->"
LEARNING = ROOT / "benchmarks" / "results" / "learning"
HEAD = "| method | int8, % | RAM to adapt | seconds on a Pico | flash of a save |\n| --- | ---: | ---: | ---: | ---: |"


def write() -> None:
    for card in sorted(paths.MODELS.glob("*/card.md")):
        card.write_text(filled(card), "utf-8")


def filled(card: Path) -> str:
    """The card's text as it should be."""
    before, _, rest = card.read_text("utf-8").partition(START)
    after = rest.partition(END)[2]
    return f"{before}{START}\n\n{text(card.parent.name)}\n\n{END}{after}"


def text(name: str) -> str:
    results = [json.loads(file.read_text()) for file in sorted(LEARNING.glob("*.json"))]
    own = [result for result in results if Path(result["setting"]["model"]["name"]).stem.split("-")[0] == name]
    parts = ["## Accuracy by method", *(_task(result) for result in own)] if own else []
    return "\n\n".join([*parts, "## On boards", _boards(name)])


def _task(result: dict) -> str:
    setting = result["setting"]
    plain = [row for row in result["rows"] if row["arithmetic"] == "int8" and not set(row["options"]) - set(COMMON)]
    rows = [_row(row) for row in plain]
    about = f"{report.title(setting)}; {setting['episodes']} episodes, `{setting['model']['name']}`."
    return f"{about[0].upper()}{about[1:]}\n\n{HEAD}\n" + "\n".join(rows)


def _row(row: dict) -> str:
    costs = row["costs"]
    cells = [kb(costs["ram"]), f"{costs['seconds']:,.0f}", kb(costs["delta"])] if costs else [""] * 3
    return f"| {row['method']} | {row['mean']:.1f} ± {row['interval']:.1f} | {' | '.join(cells)} |"


def _boards(name: str) -> str:
    """RAM beside tinylearn itself, which `tinylearn sizes` adds, and time of one answer from cycles per MAC."""
    model = tlm.read(paths.MODELS / name / f"{name}.tlm")
    known = [board for board in boards.load_all().values() if board.cycles_per_mac and board.clock_hz]
    memory = f"{kb(len(model.raw))} + {kb(model.arena)}"
    rows = [f"| {board.name} | {memory} | {1000 * sizes.seconds(board, model):.0f} |" for board in known]
    head = "| board | RAM: file + arena | ms an answer, without the front end |\n| --- | ---: | ---: |"
    return f"{head}\n" + "\n".join(rows)


if __name__ == "__main__":
    write()
