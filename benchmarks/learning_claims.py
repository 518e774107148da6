"""What the learning benchmark must show, as sentences that its results make true or false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tinylearn_host.device import kb

COMMON = ("steps", "budget")  # options that all rows of a run share
WHOLE = "full, all layers"  # fine-tuning of everything, whatever RAM it takes
INT8, INT16, FLOAT32 = "int8", "int16", "float32"
NEAR, ONE = 0.5, 1.0  # points
MEMORY, WORK = 1098, 7.68  # times less, of TinyTrain's paper
PAPER = "the paper: 1,098x less memory (float32; full training in batches of 100 with Adam) and 7.68x fewer MACs"


@dataclass(frozen=True)
class Claim:
    """holds: None where nothing has been measured."""

    claim: str
    found: str
    holds: bool | None

    def cells(self) -> list[str]:
        return [self.claim, self.found, {True: "yes", False: "**no**", None: "not measured"}[self.holds]]


def label(row: dict) -> str:
    """A row's method, with those of its options that other rows do not have."""
    own = {name: value for name, value in row["options"].items() if name not in COMMON}
    if own.pop("layers", None) == 99:
        return WHOLE
    return ", ".join([row["method"], *(f"{name} {value}" for name, value in own.items())])


def rows_of(result: dict) -> dict[str, dict[str, dict]]:
    """label -> arithmetic -> row"""
    found: dict[str, dict[str, dict]] = {}
    for row in result["rows"]:
        found.setdefault(label(row), {})[row["arithmetic"]] = row
    return found


def paired(a: dict, b: dict) -> np.ndarray:
    """Differences over the episodes that both have seen."""
    n = min(len(a["accuracies"]), len(b["accuracies"]))
    return np.array(a["accuracies"][:n]) - np.array(b["accuracies"][:n])


def words(differences: np.ndarray) -> str:
    n = len(differences)
    half = f" ± {1.96 * differences.std(ddof=1) / n**0.5:.2f}" if n > 1 else ""
    return f"{differences.mean():+.2f}{half}"


def task_name(result: dict) -> str:
    setting = result["setting"]
    return f"{setting['task']} {setting['way']}-way {setting['shot']}-shot"


def all_of(results: list[dict]) -> list[Claim]:
    return [
        *_auto(results),
        *_tinytrain(results),
        _ratio(results),
        _integers(results),
        *_filters(results),
    ]


# ---- When to train ---------------------------------------------------------------------------------------------------


def _auto(results: list[dict]) -> Iterator[Claim]:
    of_board = [(task_name(r), _plain(r)) for r in results if "auto" in _int8(r)]
    best = [(name, _beside_best(rows)) for name, rows in of_board]
    claim = f"`auto` is within {NEAR} point of the best int8 row of every task"
    yield _least(claim, best, -NEAR)
    untrained = [(name, paired(rows["auto"], rows["prototype"])) for name, rows in of_board if "prototype" in rows]
    yield _least(f"and never more than {NEAR} below prototypes of the network as it is", untrained, -NEAR)


def _int8(result: dict) -> dict[str, dict]:
    return {name: of[INT8] for name, of in rows_of(result).items() if INT8 in of and name != "none"}


def _plain(result: dict) -> dict[str, dict]:
    """Of int8, what methods do where nobody asks for anything else."""
    return {name: row for name, row in _int8(result).items() if name == row["method"]}


def _beside_best(rows: dict[str, dict]) -> np.ndarray:
    """`auto` beside the row that is furthest above it, over the episodes that both have seen."""
    return min((paired(rows["auto"], row) for row in rows.values()), key=np.mean)


def _least(claim: str, found: list[tuple[str, np.ndarray]], bound: float) -> Claim:
    """holds: where the least of the means is at least the bound."""
    if not found:
        return Claim(claim, "", None)
    name, worst = min(found, key=lambda pair: pair[1].mean())
    below = sum(each.mean() < bound for _, each in found)
    return Claim(claim, f"{len(found)} tasks, {below} of them below; the least is {words(worst)} ({name})", not below)


# ---- TinyTrain -------------------------------------------------------------------------------------------------------


def _tinytrain(results: list[dict]) -> Iterator[Claim]:
    claim = "`tinytrain` in int8 is no worse than fine-tuning all layers in float32, on the mean of the tasks"
    yield _means(claim, results, _whole)
    for name in sorted({name for result in results for name in _plain(result)} - {"tinytrain", "auto"}):
        yield _means(
            f"and than `{name}` in int8, in the same RAM", results, lambda rows, n=name: rows.get(n, {}).get(INT8)
        )
    claim = "nor is `auto` in int8, which trains by `tinytrain` where that pays, than fine-tuning all layers in float32"
    yield _means(claim, results, _whole, "auto")


def _whole(rows: dict[str, dict[str, dict]]) -> dict | None:
    return rows.get(WHOLE, {}).get(FLOAT32)


def _means(claim: str, results: list[dict], other, method: str = "tinytrain") -> Claim:
    differences = {}
    for result in results:
        rows = rows_of(result)
        one, two = rows.get(method, {}).get(INT8), other(rows)
        if one and two:
            differences[task_name(result)] = paired(one, two)
    if not differences:
        return Claim(claim, "", None)
    mean, half = mean_of_means(list(differences.values()))
    worst = min(differences, key=lambda name: differences[name].mean())
    found = (
        f"{mean:+.2f} ± {half:.2f} over {len(differences)} tasks; the least is {words(differences[worst])} ({worst})"
    )
    return Claim(claim, found, mean >= 0)


def mean_of_means(differences: list[np.ndarray]) -> tuple[float, float]:
    """Of tasks that count alike, and half of its 95 % interval over episodes."""
    variances = [each.var(ddof=1) / len(each) if len(each) > 1 else 0.0 for each in differences]
    mean = float(np.mean([each.mean() for each in differences]))
    return mean, 1.96 * float(np.sum(variances)) ** 0.5 / len(differences)


def _ratio(results: list[dict]) -> Claim:
    claim = "`tinytrain` takes as much less memory and work on the way back than training all layers as the paper's"
    known = [row["costs"] for r in results for name, row in _int8(r).items() if name == "tinytrain" and row["costs"]]
    known = [costs for costs in known if "whole" in costs]
    if not known:
        return Claim(claim, PAPER, None)
    parts = []
    for key, what in (
        ("float_bytes_100", "in float32 with Adam, in batches of 100"),
        ("float_bytes", "the same, one sample at a time"),
        ("bytes", "in int8 by this engine, one sample at a time"),
    ):
        parts.append(f"{_between([c['whole'][key] / c['backward_bytes'] for c in known])} less memory than {what}")
    less = [c["whole"]["backward_macs"] / c["backward_macs"] for c in known]
    macs, smaller = _between(less), max(c["whole"]["float_bytes_100"] / c["backward_bytes"] for c in known)
    ours = " to ".join(kb(most(c["backward_bytes"] for c in known)) for most in (min, max))
    reached = smaller >= MEMORY and max(less) >= WORK
    return Claim(claim, f"{'; '.join(parts)}; {macs} fewer MACs; {ours} of real bytes. {PAPER}", reached)


def _between(values: list[float]) -> str:
    low, high = min(values), max(values)
    form = "{:,.1f}" if high < 100 else "{:,.0f}"
    return f"{form.format(low)}x" if low == high else f"{form.format(low)}x to {form.format(high)}x"


# ---- Integers --------------------------------------------------------------------------------------------------------


def _integers(results: list[dict]) -> Claim:
    pairs = [
        (f"{name}, {task_name(result)}", paired(of[INT8], of[FLOAT32]))
        for result in results
        for name, of in rows_of(result).items()
        if INT8 in of and FLOAT32 in of
    ]
    claim = f"int8 is within {ONE:.0f} point of float32 in every row"
    if not pairs:
        return Claim(claim, "", None)
    name, worst = min(pairs, key=lambda pair: pair[1].mean())
    off = sum(each.mean() < -ONE for _, each in pairs)
    mean = np.mean([each.mean() for _, each in pairs])
    found = f"{len(pairs)} rows, {mean:+.2f} on average, {off} of them off; the least is {words(worst)} ({name})"
    return Claim(claim, found, not off)


# ---- Gradient filtering ----------------------------------------------------------------------------------------------

LESS_WORK, LESS_SAVED = 3.0, 1.8


def _filters(results: list[dict]) -> Iterator[Claim]:
    for patch in (2, 4):
        found: dict[str, list] = {}
        for result in results:
            rows = _int8(result)
            for name, row in rows.items():
                plain = rows.get(name.removesuffix(f", filter {patch}"))
                if name.endswith(f", filter {patch}") and plain:
                    one = task_name(result), paired(row, plain), row["costs"]
                    found.setdefault(row["method"], []).append(one)
        for method in sorted(found):
            yield _filter(f"`filter={patch}` of `{method}`", found[method])
        if not found:
            yield _filter(f"`filter={patch}`", [])


def _filter(what: str, found: list[tuple[str, np.ndarray, dict]]) -> Claim:
    claim = (
        f"{what} loses at most {ONE:.0f} point, with at least {LESS_WORK:.0f}x fewer gradient MACs and "
        f"{LESS_SAVED}x fewer saved bytes on the filtered layers"
    )
    if not found:
        return Claim(claim, "", None)
    name, worst, _ = min(found, key=lambda one: one[1].mean())
    mean, half = mean_of_means([differences for _, differences, _ in found])
    sentence = f"{mean:+.2f} ± {half:.2f} over {len(found)} tasks; the least is {words(worst)} ({name})"
    holds = worst.mean() >= -ONE
    known = [costs["filtered"] for _, _, costs in found if costs.get("filtered")]
    if not known:
        return Claim(claim, sentence, None if holds else False)
    work, saved = (min(c[f"plain_{what}"] / max(c[what], 1) for c in known) for what in ("macs", "saved"))
    sentence += f"; {work:.1f}x fewer MACs and {saved:.1f}x fewer bytes, at least"
    return Claim(claim, sentence, bool(holds and work >= LESS_WORK and saved >= LESS_SAVED))


# ---- Continual learning ----------------------------------------------------------------------------------------------

HALF = 0.5  # of what naive fine-tuning forgets


def of_sequences(results: list[dict]) -> Iterator[Claim]:
    """results: of benchmarks/continual.py"""
    shares, beside = [], []
    for result in results:
        of = {row["strategy"]: row for row in result["rows"] if row["arithmetic"] == INT8}
        if {"naive", "replay", "lightcl"} <= set(of):
            ours, naive = (of[name]["forgetting"]["mean"] for name in ("lightcl", "naive"))
            shares.append((ours / naive, result["setting"]["sequence"]))
            averages = [of[name]["averages"] for name in ("lightcl", "replay")]
            n = min(map(len, averages))
            beside.append((result["setting"]["sequence"], np.subtract(*(each[:n] for each in averages))))
    claim = "`lightcl` forgets at most half of what naive fine-tuning does"
    found = ", ".join(f"{100 * share:.0f} % ({name})" for share, name in shares)
    yield Claim(claim, found, max(shares)[0] <= HALF if shares else None)
    claim = "and its average is at least that of latent replay with the same bytes"
    found = ", ".join(f"{words(differences)} ({name})" for name, differences in beside)
    yield Claim(claim, found, all(each.mean() >= 0 for _, each in beside) if beside else None)
