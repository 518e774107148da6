"""The committed figures, benchmarks/results/<board>.json, and what may not become worse."""

from __future__ import annotations

import json
from pathlib import Path

from tinylearn_host import files, paths

FOLDER = Path(__file__).resolve().parent / "results"
EXACT_UNITS = ("cycles", "instructions", "bytes")  # the same in every run, unlike seconds
UNITS = (*EXACT_UNITS, "seconds")
ALLOWED = 0.03
FIRST = "pico-emulated"  # the board whose rows have a file of no board's name where a table is of one board


def load(name: str) -> list[dict]:
    """The rows of a board, or of "sizes"; none where nothing is committed."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else []


def of_board(name: str, board: str) -> str:
    """What load and save know the rows of a table by that is made on one board after the other."""
    return name if board == FIRST else f"{name}-{board}"


def save(name: str, rows: list[dict]) -> None:
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / f"{name}.json", rows)


def write(path: Path, rows: list[dict]) -> None:
    """One row per line, so that a change shows in a diff; whole or not at all."""
    files.write(path, "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def merge(before: list[dict], after: list[dict], names: list[str]) -> list[dict]:
    """The rows of `before` with those of `after` in their place; order: that of the workloads' names."""
    rows = {row["name"]: row for row in (*before, *after)}
    rank = {name: i for i, name in enumerate(names)}
    return sorted(rows.values(), key=lambda row: rank.get(row["name"].split(", ")[0], len(rank)))


def replaced(before: list[dict], after: list[dict]) -> list[dict]:
    """The rows of `before`, those of `after` in the place of all that have their names; new names come last."""
    rows = {}
    for row in before:
        rows.setdefault(row["name"], []).append(row)
    rows |= {name: [row for row in after if row["name"] == name] for name in dict.fromkeys(r["name"] for r in after)}
    return [row for group in rows.values() for row in group]


def sizes() -> list[dict]:
    """Bytes of the native modules that are built, which a board holds in RAM."""
    modules = sorted(paths.NATIVE.glob("*/*.mpy"))
    return [{"name": m.stem, "board": m.parent.name, "bytes": m.stat().st_size} for m in modules]


def refused(row: dict | None) -> bool:
    """Whether a board has too little RAM for a workload."""
    return bool(row) and "does_not_fit" in row


def value(row: dict) -> tuple[str, float]:
    """(unit, value) of a row."""
    [unit] = [unit for unit in UNITS if unit in row]
    return unit, row[unit]


def change(before: dict | None, after: dict) -> float | None:
    """By how much a figure has grown, as a fraction; None where there was none."""
    if not before or refused(before) or refused(after):
        return None
    return value(after)[1] / value(before)[1] - 1


def inexact(rows: list[dict]) -> list[str]:
    """Sentences on our answers that are not the simulator's. LiteRT's own may differ."""
    return [
        f"{row['name']} on {row['board']}: the answer is not that of the simulator"
        for row in rows
        if not row.get("exact", True) and "LiteRT" not in row["name"]
    ]


def worse(before: list[dict], after: list[dict]) -> list[str]:
    """Sentences on exact figures that are missing now or have grown by more than ALLOWED."""
    now = {(row["name"], row["board"]): row for row in after}
    sentences = []
    for row in before:
        if refused(row):
            continue
        unit, old = value(row)
        if unit not in EXACT_UNITS:
            continue
        where = f"{row['name']} on {row['board']}"
        found = now.get((row["name"], row["board"]))
        if not found:
            sentences.append(f"{where}: {old} {unit} are committed, and now it is not measured")
        elif refused(found):
            sentences.append(f"{where}: {old} {unit} are committed, and now it does not fit: {found['does_not_fit']}")
        elif value(found)[1] > old * (1 + ALLOWED):
            sentences.append(f"{where}: {old} {unit} are committed, now {value(found)[1]} ({change(row, found):+.1%})")
    return sentences
