"""Run a model's forward on a board, sample after sample. `board=None` is the simulator."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable

import numpy as np

from tinylearn_host import tlm
from tinylearn_host.errors import BAD_DATA, BOARD_ERROR, NOT_ENOUGH_RAM, TinylearnError
from tinylearn_host.on_board import source
from tinylearn_host.simulator import Simulator, explain
from tinylearn_host.transport import BoardError, Transport

PATIENCE = 600  # seconds that a board may think about one sample

Watch = Callable[[int], None]  # called with the number of samples that are done


def check(model: tlm.Model, x: np.ndarray) -> np.ndarray:
    """x int8 [n, values] from one sample (h, w, c) or a batch [n, h, w, c]; vectors and left-out axes of 1 are fine.

    Raises: exit code 13 where it does not fit the model.
    """
    shape = model.input_shape()
    values = int(np.prod(shape))
    if x.dtype != np.int8:
        raise TinylearnError(f"the input is {x.dtype}; the model takes int8 (its own quantised values)", BAD_DATA)
    forms = (shape, tuple(n for n in shape if n > 1), (values,))
    if x.shape in forms or x.shape[1:] in forms:
        return np.ascontiguousarray(x.reshape(-1, values))
    raise TinylearnError(
        f"the input has shape {x.shape}; the model takes {shape}, or a batch {('n', *shape)}".replace("'", ""), BAD_DATA
    )


def forward(
    board: Transport | None, model: tlm.Model, on_board: str, x: np.ndarray, watch: Watch = lambda done: None
) -> tuple[np.ndarray, list[float]]:
    """y int8 [n, h, w, c] of x int8 [n, values], and the seconds that each took on the board's own clock.

    on_board: the model's name on the board, where it must be already.
    """
    answers, seconds = [], []
    for y, taken in _simulate(model, x) if board is None else _stream(board, model, on_board, x):
        answers.append(y.reshape(model.output_shape()))
        seconds.append(taken)
        watch(len(answers))
    return np.stack(answers) if answers else np.zeros((0, *model.output_shape()), np.int8), seconds


def _simulate(model: tlm.Model, x: np.ndarray):
    simulator = Simulator(model.raw)
    for sample in x:
        start = time.perf_counter()
        y = simulator.run(sample)
        yield y, time.perf_counter() - start


def _stream(board: Transport, model: tlm.Model, on_board: str, x: np.ndarray):
    ends = [(t.place, t.place + t.bytes) for t in (model.tensors[model.input], model.tensors[model.output])]
    arguments = (on_board, len(model.raw), model.arena, len(model.ops), *ends, len(x))
    board.soft_reset()
    try:
        call = f"forward(*{arguments!r}, read=read_line, say=say_line)"
        with board.start(source("lines", "forward", call=call)) as program:
            for said in program.converse((row.tobytes() for row in x), PATIENCE):
                if said["event"] == "y":
                    yield np.frombuffer(b64decode(said["y"]), np.int8), said["us"] / 1e6
                elif said["event"] == "status" and said["status"]:
                    raise TinylearnError(f"the board refuses the model: {explain(said['status'])}", BOARD_ERROR)
    except BoardError as error:
        if error.exception.startswith("MemoryError"):
            raise TinylearnError(
                f"the board ran out of RAM: {error.exception}. The model takes {len(model.raw)} bytes and its arena "
                f"{model.arena}; take a smaller one.",
                NOT_ENOUGH_RAM,
            ) from None
        raise
