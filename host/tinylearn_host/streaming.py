"""Teach a model on a board with samples streamed over serial, and ask it about others. `board=None` is the simulator.

The program that runs is `on_board/adapt.py`, on the board and in the simulator alike. The board asks for one line at a
time, so it needs room for one sample only, and answers with one JSON object per line: an event and its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from tinylearn_host import simulator, tlm
from tinylearn_host.errors import BAD_DATA, BOARD_ERROR, NOT_ENOUGH_FLASH, NOT_ENOUGH_RAM, TinylearnError
from tinylearn_host.on_board import source
from tinylearn_host.samples import Samples
from tinylearn_host.transport import BoardError, Transport

PATIENCE = 600  # seconds that a board may be silent over one sample or one step

Watch = Callable[[dict], None]  # called with every event: on_board/adapt.py
REFUSALS = ("MemoryError", "TypeError", "ValueError")  # what the board's own checks raise, with a sentence
NOT_KEPT = re.compile(r"OSError: \((\d+), ['\"](.+ .+)['\"]\)")  # number and sentence of a save that failed
FULL = "28"  # ENOSPC
STEPS = 40  # of training, where neither options nor the model's file say
AUTO, AUTO_STEPS = "auto", 10  # the board's default method, and its steps at most


@dataclass
class Outcome:
    """What the board said. Times in seconds on the board's own clock, the serial link not counted; sizes in bytes.

    before, after:     predicted label of each query; `before` is empty where the model does not know the classes
    confidence:        0..1 per query, after
    steps:             of training: {"step", "loss", "accuracy"} of each; accuracy is that on what is being taught
    why:               what method "auto" decided, in words
    trained, layers:   what was taught and what it took, what was chosen of the network: no layers where a head is all
                       (firmware/tinylearn/explain.py: Story, Rows)
    chance:            accuracy of guessing: what `accuracy_before` is then
    peak_heap_bytes:   most of the board's heap in use at a time, by everything; None in the simulator
    code_heap_bytes:   what of it was in use before the model was loaded: tinylearn itself, as native code and bytecode
    """

    query: Samples
    chance: float
    before: list = field(default_factory=list)
    after: list = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    steps: list[dict] = field(default_factory=list)
    trained: dict | None = None
    layers: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    predict_seconds: float = 0.0
    arena_bytes: int = 0
    peak_heap_bytes: int | None = None
    code_heap_bytes: int | None = None
    why: str | None = None

    @property
    def accuracy_before(self) -> float:
        return self._accuracy(self.before) if self.before else self.chance

    @property
    def accuracy_after(self) -> float:
        return self._accuracy(self.after)

    def _accuracy(self, predicted: list) -> float:
        return float(np.mean([same(p, y) for p, y in zip(predicted, self.query.y, strict=True)]))

    def as_json(self) -> dict:
        return {
            "accuracy_before": round(self.accuracy_before, 6),
            "accuracy_after": round(self.accuracy_after, 6),
            "before": "model" if self.before else "chance",
            "seconds": round(self.seconds, 6),
            "seconds_per_predict": round(self.predict_seconds / max(len(self.after), 1), 6),
            "arena_bytes": self.arena_bytes,
            "peak_heap_bytes": self.peak_heap_bytes,
            "code_heap_bytes": self.code_heap_bytes,
            "why": self.why,
            "steps": [{key: round(value, 6) for key, value in step.items()} for step in self.steps],
            "trained": self.trained,
            "layers": self.layers,
            "queries": len(self.query),
            "predictions": self.after,
            "confidences": [round(c, 6) for c in self.confidence],
        }


def same(a: object, b: object) -> bool:
    """Whether two labels mean the same class: a model's own labels are strings, an array's may be numbers."""
    return str(a) == str(b)


def knows(model: tlm.Model, classes: list) -> bool:
    """Whether the model, as it came, tells these classes apart."""
    if model.head >= len(model.ops):
        return False
    labels = model.labels if model.labels is not None else range(int(np.prod(model.output_shape())))
    return {str(c) for c in classes} <= {str(label) for label in labels}


def check(model: tlm.Model, support: Samples, query: Samples, more: bool = False) -> None:
    """Raise exit code 13 where the two sets do not fit the model or each other. more: other classes are known, too."""
    for name, samples in (("support", support), ("query", query)):
        if not _takes(model, samples.x):
            wanted = f"{int(np.prod(model.input_shape()))}" + (f" or, raw, the {model.front}" if model.front else "")
            size = samples.x.shape[1]
            raise TinylearnError(
                f"{name}: an example has {size} values ({samples.x.dtype}), the model takes {wanted}", BAD_DATA
            )
    if support.x.dtype != query.x.dtype:
        raise TinylearnError(f"support is {support.x.dtype}, query {query.x.dtype}: both must be of one type", BAD_DATA)
    if not (1 if more else 2) <= len(support.classes) <= 256:
        count = len(support.classes)
        raise TinylearnError(f"support has {count} class{'es' * (count != 1)}; 2 to 256 can be taught", BAD_DATA)
    strangers = sorted({str(y) for y in query.y} - {str(y) for y in support.y})
    if strangers and not more:
        raise TinylearnError(f"query has classes that support does not teach: {', '.join(strangers[:8])}", BAD_DATA)


def _takes(model: tlm.Model, x: np.ndarray) -> bool:
    """Whether a row of x is an input of the model, or raw samples for its front end."""
    raw = model.front and x.dtype == model.front.dtype and x.shape[1] == model.front.values
    return bool(raw) or (x.dtype != np.int16 and x.shape[1] == int(np.prod(model.input_shape())))


def adapt(
    board: Transport | None,
    path: Path,
    on_board: str,
    support: Samples,
    query: Samples,
    watch: Watch = lambda said: None,
    **options,
) -> Outcome:
    """Run it all. path: the model on the host; on_board: its name on the board, where it must be already.

    options: Model.adapt's; None: the board's to choose. The model starts as it came, whatever was saved on the board,
    but with `continual` from its last save; save=True: what it learns is its last save afterwards.
    """
    model = tlm.read(path)
    classes = support.classes
    options = {name: value for name, value in options.items() if value is not None}
    check(model, support, query, "continual" in options)
    before = knows(model, classes) or "continual" in options
    labels = bytes(classes.index(y) for y in support.y)
    steps = options.get("steps") or _steps(model, options.get("method", AUTO))
    arguments = (support.typecode, support.x[0].nbytes, before, classes, labels, len(query), options, steps)
    rows = _rows(support, query, before)
    outcome = Outcome(query, 1 / len(classes))

    def hear(said: dict) -> None:
        _note(outcome, said)
        watch(said)

    if board is None:
        _simulate(path, arguments, rows, hear)
        outcome.peak_heap_bytes = outcome.code_heap_bytes = None
    else:
        _stream(board, on_board, arguments, rows, hear)
    return outcome


def _steps(model: tlm.Model, method: str) -> int:
    """The most that are made where nobody says."""
    card = model.meta.get("train")
    return AUTO_STEPS if method == AUTO else (card if isinstance(card, dict) else {}).get("steps", STEPS)


def _rows(support: Samples, query: Samples, before: bool) -> Iterator[bytes]:
    """Samples as bytes, in the order in which the program reads them."""
    for samples in ([query] if before else []) + [support, query]:
        for x in samples.x:
            yield x.astype(x.dtype.newbyteorder("<")).tobytes()


def _note(outcome: Outcome, said: dict) -> None:
    event = said["event"]
    if event == "before" and said["label"] is not None:
        outcome.before.append(said["label"])
    elif event == "step":
        outcome.steps.append({key: said[key] for key in ("step", "loss", "accuracy")})
    elif event == "after":
        outcome.after.append(said["label"])
        outcome.confidence.append(said["confidence"])
        outcome.predict_seconds += said["us"] / 1e6
    elif event == "adapted":
        outcome.seconds, outcome.arena_bytes, outcome.why = said["us"] / 1e6, said["arena"], said["why"]
    elif event == "trained":
        outcome.trained = {key: value for key, value in said.items() if key != "event"}
    elif event == "layer":
        outcome.layers.append({key: value for key, value in said.items() if key != "event"})
    elif event == "heap":
        outcome.peak_heap_bytes, outcome.code_heap_bytes = said["peak"], said["code"]


def _stream(board: Transport, on_board: str, arguments: tuple, rows: Iterator[bytes], hear: Callable) -> None:
    call = f"session({on_board!r}, *{arguments!r}, read=read_line, say=say_line)"
    board.soft_reset()
    try:
        with board.start(source("lines", "adapt", call=call)) as program:
            for said in program.converse(rows, PATIENCE):
                hear(said)
    except BoardError as error:
        kind, _, sentence = error.exception.partition(": ")
        if kind in REFUSALS:
            raise _refusal("the board", kind, sentence) from None
        if failed := NOT_KEPT.match(error.exception):
            code = NOT_ENOUGH_FLASH if failed[1] == FULL else BOARD_ERROR
            raise TinylearnError(f"the board has learned it and cannot keep it: {failed[2]}", code) from None
        raise


def _refusal(who: str, kind: str, sentence: str) -> TinylearnError:
    if kind == "MemoryError":
        return TinylearnError(f"{who} has too little RAM: {sentence}", NOT_ENOUGH_RAM)
    return TinylearnError(f"{who} refuses: {sentence}", BOARD_ERROR)


def _simulate(path: Path, arguments: tuple, rows: Iterator[bytes], hear: Callable) -> None:
    def read(buffer: bytearray) -> None:
        buffer[:] = next(rows)

    def say(event: str, **values) -> None:
        hear({"event": event, **values})

    simulator.on_path()
    program = import_module("tinylearn_host.on_board.adapt")
    try:
        program.session(str(path), *arguments, read=read, say=say)
    except (MemoryError, TypeError, ValueError) as error:
        raise _refusal("the simulator", type(error).__name__, str(error)) from error
