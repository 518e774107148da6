"""Measure tinylearn on emulated boards: `make bench`. See --help."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "host")]

from tinylearn_host.bench import workloads  # noqa: E402
from tinylearn_host.bench.measure import Meter  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="pico-emulated")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    chosen = [
        w
        for w in workloads.layers() + [workloads.model(p) for p in workloads.zoo()]
        if fnmatch.fnmatch(w.name, options.only + "*")
    ]
    with Meter.opened(options.board) as meter:
        for work in chosen:
            print(json.dumps(meter.figure(work).as_json()), flush=True)


if __name__ == "__main__":
    main()
