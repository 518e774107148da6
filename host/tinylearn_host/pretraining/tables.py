"""Recordings of a sensor's channels as CSV: a row per sample, a column per channel, perhaps names in the first row, a
column of times (t, time, timestamp), which shows gaps, and one with the class of each row (label). Exit code 13.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylearn_host.errors import BAD_DATA, TinylearnError

TIMES = {"t", "time", "timestamp", "time_s", "time_ms", "ms"}
LABEL = "label"
GAP = 1.5  # of the usual time between two rows


@dataclass
class Recording:
    """values: float64 [rows, channels]; where: file and first line, for sentences"""

    where: str
    channels: tuple[str, ...]
    values: np.ndarray

    def windows(self, window: int, hop: int) -> np.ndarray:
        """[N, window, channels]; none where the recording is shorter."""
        starts = range(0, len(self.values) - window + 1, hop)
        empty = np.empty((0, window, len(self.channels)))
        return np.stack([self.values[at : at + window] for at in starts]) if len(starts) else empty


def _bad(path: Path, line: int, what: str) -> TinylearnError:
    return TinylearnError(f"{path}, line {line}: {what}", BAD_DATA)


def recording(path: Path) -> Recording:
    """A file that is one recording of one class."""
    names, rows, _ = _read(path, labelled=False)
    return Recording(str(path), names, np.array(rows))


def labelled(path: Path) -> dict[str, list[Recording]]:
    """A file with a column "label": class -> its recordings, each a run of rows of one label."""
    names, rows, labels = _read(path, labelled=True)
    found: dict[str, list[Recording]] = {}
    start = 0
    for at in range(1, len(rows) + 1):
        if at == len(rows) or labels[at] != labels[start]:
            run = Recording(f"{path}, line {start + 2}", names, np.array(rows[start:at]))
            found.setdefault(labels[start], []).append(run)
            start = at
    if len(found) < 2:
        raise TinylearnError(f"{path} has one class only ({', '.join(found)}); two or more are needed", BAD_DATA)
    return dict(sorted(found.items()))


def _read(path: Path, labelled: bool) -> tuple[tuple[str, ...], list[list[float]], list[str]]:
    """(channels, rows of numbers, the label of each row)"""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, [cell.strip() for cell in line]) for number, line in enumerate(csv.reader(file), start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TinylearnError(f"{path} is no CSV that can be read: {error}", BAD_DATA) from None
    while lines and not any(lines[-1][1]):
        lines.pop()
    if not lines:
        raise TinylearnError(f"{path} is empty", BAD_DATA)
    columns, lines = _names(lines, labelled)
    time = next((n for n, name in enumerate(columns) if name.lower() in TIMES), None)
    label = next((n for n, name in enumerate(columns) if name.lower() == LABEL), None)
    if labelled and label is None:
        raise _bad(path, 1, f'there is no column "{LABEL}" among {", ".join(columns)}')
    kept = [n for n in range(len(columns)) if n not in (time, label)]
    if not kept or not lines:
        raise TinylearnError(f"{path} has no {'rows' if kept else 'columns'} of values", BAD_DATA)
    rows, labels, times = [], [], []
    for number, line in lines:
        if len(line) != len(columns):
            what = f"{len(line)} values" if any(line) else "an empty row"
            raise _bad(path, number, f"{what}; {len(columns)} values were expected")
        rows.append([_number(path, number, columns[n], line[n]) for n in kept])
        labels.append(line[label] if label is not None else "")
        if time is not None:
            times.append((number, _number(path, number, columns[time], line[time])))
    _check_times(path, times, labels)
    return tuple(columns[n] for n in kept), rows, labels


def _names(lines: list, labelled: bool) -> tuple[list[str], list]:
    """The first row, where it is one of names."""

    def numeric(cell: str) -> bool:
        try:
            return math.isfinite(float(cell))
        except ValueError:
            return False

    first = lines[0][1]
    if labelled or not any(numeric(cell) for cell in first):
        return first, lines[1:]
    return [f"column {n}" for n in range(1, len(first) + 1)], lines


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = f'"{cell}" is no number' if cell else "a value is missing"
        raise _bad(path, line, f"{what} (column {column.removeprefix('column ')})")
    return value


def _check_times(path: Path, times: list[tuple[int, float]], labels: list[str]) -> None:
    """Rows of one label are as far apart as they usually are: a window over a gap would be no window."""
    if len(times) < 3:
        return
    steps = np.diff([time for _, time in times])
    usual = float(np.median(steps))
    for row, step in enumerate(steps, start=1):
        line = times[row][0]
        if labels[row] != labels[row - 1]:
            continue
        if step <= 0:
            raise _bad(path, line, "its time is not after that of the row before")
        if step > GAP * usual:
            raise _bad(path, line, f"a gap: {step:g} since the row before, usually {usual:g}. Split the file there")
