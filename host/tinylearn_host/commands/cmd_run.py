"""`tinylearn run`."""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np

from tinylearn_host import files, flash, forwarding, tlm
from tinylearn_host.commands.options import board_options, json_option, open_board, print_json, progress_bar
from tinylearn_host.errors import BAD_DATA, TinylearnError


@click.command("run")
@click.argument("model", type=click.Path(path_type=Path))
@board_options
@click.option(
    "--input", "source", required=True, type=click.Path(path_type=Path), help="int8 .npy: one sample or a batch."
)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The .npy to write: int8 [n, h, w, c].")
@json_option
def command(
    model: Path, board: str, port: str | None, transport: str, source: Path, output: Path, as_json: bool
) -> None:
    """Run MODEL, a .tlm, on a board: int8 in, int8 out, a batch one by one.

    Flashes if needed. The input holds the model's own quantised values, shaped (h, w, c) or, for a batch, [n, h, w, c].
    --board sim runs the board's own code in this process: the same bits, without a board.
    """
    parsed = tlm.read(model)
    x = forwarding.check(parsed, load(source))
    with open_board(board, port, transport) as link, progress_bar() as show:
        if link is not None:
            flash.flash(link, model, show)
        y, seconds = forwarding.forward(link, parsed, flash.MODEL, x, lambda done: show("running", done, len(x)))
    save(output, y)
    each = sum(seconds) / max(len(seconds), 1)
    if as_json:
        report = {"board": board, "model": str(model), "output": str(output), "shape": list(y.shape)}
        print_json(
            {**report, "samples": len(y), "seconds": round(sum(seconds), 6), "seconds_per_sample": round(each, 6)}
        )
        return
    print(
        f"{len(y)} samples on {board}, {each * 1000:.1f} ms each by its own clock; answers int8 {y.shape} in {output}"
    )


def load(path: Path) -> np.ndarray:
    """The array in a .npy. Raises: exit code 13."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TinylearnError(f"{path} is not a .npy file that can be read: {error}", BAD_DATA) from None
    if not isinstance(array, np.ndarray):
        raise TinylearnError(f"{path} is an .npz with several arrays; a .npy with one was expected", BAD_DATA)
    return array


def save(path: Path, array: np.ndarray) -> None:
    """Write a .npy under its final name only once it is whole."""
    content = io.BytesIO()
    np.save(content, array)
    files.write(path, content.getvalue())
