"""Measure tinylearn on the emulated boards: `make bench`.

    benchmarks/run.py                       everything; writes benchmarks/results/*.json and docs/benchmarks.md
    benchmarks/run.py --board pico-emulated --only L     one board, names that begin so: prints, writes nothing
    benchmarks/run.py --board qemu-m3 --only "adapt*" --save     the same, and puts them into benchmarks/results
    benchmarks/run.py --board pico-emulated --only "adapt scheme, 40 steps" --save    a whole adaptation: minutes, so
                                            only by its whole name
    benchmarks/run.py --check               writes nothing; exit code 1 where a committed figure got worse
    benchmarks/run.py --profile "step scheme" --profile "L4 grad*"    where the cycles go on pico-emulated: prints the
                                            functions, writes benchmarks/results/profile.json and docs/benchmarks.md
    benchmarks/run.py --table               docs/benchmarks.md from the results; measures nothing

What is measured is what is built: `make bench` builds first. Any answer that is not exact ends in exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "host")]

import profile_parts  # noqa: E402
import results  # noqa: E402
import table  # noqa: E402
from tinylearn_host import boards  # noqa: E402
from tinylearn_host.bench import workloads  # noqa: E402
from tinylearn_host.bench.measure import Figure, Meter  # noqa: E402
from tinylearn_host.errors import TinylearnError  # noqa: E402

PROFILED, FUNCTIONS = "pico-emulated", 20  # which board counts by address; how many functions are shown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", action="append", metavar="B", help="may be given again; default: all emulated ones")
    parser.add_argument("--only", default="", metavar="PATTERN", help="names that begin so; * and ? as in file names")
    parser.add_argument("--save", action="store_true", help="with --only: put these figures among the committed ones")
    parser.add_argument("--check", action="store_true", help="compare with the committed figures")
    parser.add_argument("--table", action="store_true", help="write docs/benchmarks.md and nothing else")
    parser.add_argument("--profile", action="append", metavar="PATTERN", help="names that begin so; may be given again")
    options = parser.parse_args(arguments)
    complaints = []
    try:
        if options.profile:
            _profile(options.profile)
        elif not options.table:
            complaints = _measure(options)
        if options.table or options.profile or not (options.check or options.only):
            table.write()
    except TinylearnError as error:
        print(f"benchmarks/run.py: error: {error}", file=sys.stderr)
        return error.exit_code
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _measure(options: argparse.Namespace) -> list[str]:
    """Measure, and save unless this only checks or looks; what is wrong with the figures."""
    chosen = workloads.choose(options.only)
    if not chosen:
        raise TinylearnError(f"nothing is called {options.only!r}; there are: {', '.join(workloads.names())}", 2)
    complaints = []
    for name in options.board or _emulated(deterministic=options.check):
        before, after = results.load(name), []
        for figure in _figures(name, chosen, before):
            after.append(figure.as_json())
            if not options.check and (options.save or not options.only):  # now: what is interrupted is not lost
                results.save(name, results.merge(before, after, workloads.names()))
        complaints += results.inexact(after)
        if options.check:
            complaints += results.worse([row for row in before if row["name"] in {w.name for w in chosen}], after)
        elif not options.only:  # without what has no such name any more
            slow = [row for row in before if row["name"] in workloads.SLOW]
            results.save(name, results.merge(slow, after, workloads.names()))
    if not options.only and not options.board:
        if options.check:
            complaints += results.worse(results.load("sizes"), results.sizes())
        else:
            results.save("sizes", results.sizes())
    return complaints


def _profile(patterns: list[str]) -> None:
    """Rows of profile.json for the workloads that are named, in the place of those that were there."""
    rows = {row["name"]: row for row in results.load("profile")}
    with Meter.opened(PROFILED) as meter:
        for work in (work for pattern in patterns for work in workloads.choose(pattern)):
            functions = meter.profile(work)
            total = functions.total()
            print(f"{work.name}: {total:,} cycles, {total / work.macs:.2f} per MAC")
            for name, cycles in functions.most_common(FUNCTIONS):
                print(f"    {name:48} {cycles:>12,} {cycles / work.macs:8.3f} {cycles / total:7.1%}", flush=True)
            parts = profile_parts.parts(functions)
            rows[work.name] = {"name": work.name, "board": PROFILED, "macs": work.macs, "cycles": total, "parts": parts}
            results.save("profile", list(rows.values()))  # each: the next one may not fit the board


def _emulated(deterministic: bool) -> list[str]:
    """All emulated boards, or those that count instead of timing."""
    known = boards.load_all().values()
    return [board.name for board in known if board.emulated and (board.counter or not deterministic)]


def _figures(board: str, chosen: list[workloads.Workload], before: list[dict]) -> Iterator[Figure]:
    """Measure on one board, printing each figure with how it differs from what is committed."""
    known = {row["name"]: row for row in before}
    with Meter.opened(board) as meter:
        meter.say_what_is_missing(chosen)
        for work in chosen:
            for figure in meter.figures(work):
                change = results.change(known.get(figure.name), figure.as_json())
                print(figure.line() + ("" if change is None else f"  {change:+.1%}"), flush=True)
                yield figure


if __name__ == "__main__":
    sys.exit(main())
