"""What a run of the benchmark found, as a file, as text."""

from __future__ import annotations

import json
from pathlib import Path

from tinylearn_host import files
from tinylearn_host.device import kb
from tinylearn_host.errors import BAD_DATA, USAGE, TinylearnError

HEADINGS = ("method", "arithmetic", "accuracy", "ram", "saved", "MACs", "s on a Pico", "flash")


def save(result: dict, path: Path) -> None:
    """JSON with a row on each line, so that a change shows in a diff; whole or not at all."""
    rows = ",\n".join("  " + json.dumps(row) for row in result["rows"])
    files.write(path, f'{{"setting": {json.dumps(result["setting"])},\n "rows": [\n{rows}\n]}}\n', USAGE)


def make_folder(path: Path) -> None:
    """For a file that will be saved. Raises exit code 2 where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TinylearnError(f"cannot write {path}: {error.strerror}", USAGE) from None


def earlier(path: Path) -> dict | None:
    """What a file has of an earlier run, None where there is none. Raises exit code 13 where it is something else."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        found = None
    if not _is_run(found):
        raise TinylearnError(f"{path} is no JSON of an earlier run: name another --output", BAD_DATA)
    return found


def _is_run(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("setting"), dict) or not found.get("rows"):
        return False
    named = all(isinstance(row, dict) and {"method", "arithmetic", "options"} <= row.keys() for row in found["rows"])
    return named and "episodes" in found["setting"]


def merged(result: dict, before: dict | None) -> dict:
    """A run's result with the rows of an earlier one: same task, seed, model and data."""
    if before is None or strange(before["setting"], result["setting"]):
        return result
    rows = {_name(row): row for row in (*before["rows"], *result["rows"])}
    most = max(before["setting"]["episodes"], result["setting"]["episodes"])
    return {"setting": {**result["setting"], "episodes": most}, "rows": list(rows.values())}


def strange(before: dict, now: dict) -> list[str]:
    """In what an earlier run's setting differs, so that its rows cannot stand beside those of now."""
    names = {**before, **now}.keys() - {"episodes", "refused", "title"}
    return sorted(name for name in names if before.get(name) != now.get(name))


def _name(row: dict) -> str:
    return json.dumps([row["method"], row["arithmetic"], row["options"]], sort_keys=True)


def title(setting: dict) -> str:
    return f"{setting['title']}: {setting['way']}-way {setting['shot']}-shot"


def cells(row: dict) -> tuple[str, ...]:
    """One row as HEADINGS have it."""
    known = row["costs"]
    return (
        row["method"],
        row["arithmetic"],
        f"{row['mean']:.1f} ± {row['interval']:.1f}",
        kb(known["ram"]) if "ram" in known else "",
        kb(known["saved"]) if known.get("saved") else "",
        f"{known['macs'] / 1e6:,.0f} M" if "macs" in known else "",
        f"{known['seconds']:,.0f}" if "seconds" in known else "",
        kb(known["delta"]) if "delta" in known else "",
    )


def text(result: dict) -> str:
    """For a terminal."""
    setting = result["setting"]
    lines = [HEADINGS, *(cells(row) for row in result["rows"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    table = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    head = f"{title(setting)}, {setting['episodes']} episodes, seed {setting['seed']}, {setting['model']['name']}"
    refused = [f"no row of {name}: {why}" for name, why in setting["refused"].items()]
    return "\n".join([head, *(line.rstrip() for line in table), *refused])
