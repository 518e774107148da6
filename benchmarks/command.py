"""The command line of a benchmark, one board at a time, whose rows have a table of their own in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import results
import table
from tinylearn_host.bench.measure import Meter
from tinylearn_host.errors import TinylearnError

BOARD = results.FIRST


def run(
    name: str, description: str, measure: Callable[[Meter, str], Iterator[dict]], arguments: list[str] | None
) -> int:
    """The exit code. Writes benchmarks/results/<name>.json, or <name>-<board>.json of another board than BOARD, and the
    document; of a part of the rows with --save only.
    measure: the rows of what fits a pattern, which may be empty for all"""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default=BOARD, metavar="B", help=f"default: {BOARD}")
    parser.add_argument("--only", default="", metavar="PATTERN", help="names that begin so; * and ? as in file names")
    parser.add_argument("--save", action="store_true", help="with --only: put these rows among the committed ones")
    options = parser.parse_args(arguments)
    try:
        with Meter.opened(options.board) as meter:
            rows = list(measure(meter, options.only))
    except TinylearnError as error:
        print(f"benchmarks/{name}.py: error: {error}", file=sys.stderr)
        return error.exit_code
    if options.save or not options.only:
        file = results.of_board(name, options.board)
        results.save(file, results.replaced(results.load(file), rows) if options.only else rows)
        table.write()
    return 0 if all(row.get("exact", True) for row in rows) else 1
