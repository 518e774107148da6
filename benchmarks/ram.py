"""How little RAM adapting needs beyond the loaded model and code: the zoo on a board whose heap is filled up.

    benchmarks/ram.py [--board unix] [--method bias,scheme] [--steps 2] [--output FILE]

A ballast fills the heap from its beginning but for so many bytes, and the smallest with which adapt() trains the same
as in a heap without ballast is found by bisection, to 1 KB. The budget that adapt is given is the one that the method
keeps to where nobody names one (USUAL in firmware/tinylearn/tuning.py); Python's own objects come on top, and all of it
has to stay below the limit. On `unix` objects are twice the size of a board's, so its figures are upper bounds, and
what planning takes, code that comes and goes, is more there than all that training does.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

import results
from board_samples import SAMPLES
from tinylearn_host import boards, flash, paths, simulator, tlm
from tinylearn_host.errors import NOT_ENOUGH_RAM
from tinylearn_host.transport import connect

simulator.on_path()
from tinylearn.tuning import USUAL  # noqa: E402

LIMITS = {"bias": 48 * 1024, "scheme": 96 * 1024}  # bytes
WAYS, SHOTS = 5, 5
PROGRAM = """
import gc, tinylearn
model = tinylearn.load(recall=False)
def ends(free):
    gc.collect()
    ballast = [None] * 1024
    for i in range(len(ballast) if free else 0):
        if gc.mem_free() < free + 1024:
            break
        ballast[i] = bytearray(1024)
    try:
        model.reset()
        model.adapt(Samples(), head="prototype", **OPTIONS)
        return all_of_it in (None, model.changed)
    except MemoryError as error:
        return False
all_of_it = None
ends(0)  # loads the code
all_of_it = model.changed
least, most = 0, 4 * LIMIT
while most - least > 1024:
    middle = (least + most) // 2
    if ends(middle):
        most = middle
    else:
        least = middle
while most < 4 * LIMIT and not (ends(most) and ends(most)):  # what is free lies otherwise from time to time
    most += 1024
print(most if most < 4 * LIMIT else -1)
"""


@click.command()
@click.option("--board", default="unix", show_default=True)
@click.option("--method", default="bias,scheme", show_default=True)
@click.option("--steps", default=2, show_default=True)
@click.option("--output", type=Path, help="also as JSON: rows of name, method, limit, bytes, beside others'")
def main(board: str, method: str, steps: int, output: Path | None) -> None:
    rows = []
    for path in sorted(paths.MODELS.glob("*/*.tlm")):
        for name in method.split(","):
            row = {"name": path.stem, "method": name, "board": board, "limit": LIMITS[name]}
            row["bytes"] = least(board, path, name, steps)
            rows.append(row)
            print(f"{board:14} {path.stem:8} {name:7} {row['bytes']:7,} of {row['limit']:,} bytes", flush=True)
            if row["bytes"] < 0:
                print("  the board has less than is planned: it trains less, and these figures are of larger ones")
                rows.pop()
    if output:
        others = json.loads(output.read_text()) if output.exists() else []
        results.write(output, [row for row in others if (row["board"], row["method"]) not in ran(rows)] + rows)
    sys.exit(0 if all(0 < row["bytes"] <= row["limit"] for row in rows) else NOT_ENOUGH_RAM)


def ran(rows: list[dict]) -> set[tuple[str, str]]:
    return {(row["board"], row["method"]) for row in rows}


def least(board: str, path: Path, method: str, steps: int) -> int:
    """Bytes, or -1 where not even four times the limit is enough."""
    size = int(np.prod(tlm.read(path.read_bytes()).input_shape()))
    samples = np.random.default_rng(1).integers(-128, 128, (WAYS * SHOTS, size)).astype(np.int8)
    given = {"LABELS": [i % WAYS for i in range(len(samples))], "LIMIT": LIMITS[method]}
    given["OPTIONS"] = {"method": method, "steps": steps, "budget": USUAL[method]}
    os.environ["TINYLEARN_STATE"] = tempfile.mkdtemp()
    with boards.opened(board) as port, connect(port, "mpremote") as link:
        flash.flash(link, path, trains=True)
        link.put("samples.bin", samples.tobytes())
        link.soft_reset()
        return int(link.exec("".join(f"{k} = {v!r}\n" for k, v in given.items()) + SAMPLES + PROGRAM, 600).split()[-1])


if __name__ == "__main__":
    main()
