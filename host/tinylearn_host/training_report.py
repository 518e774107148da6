"""What training a model takes on a board, by the board's own reckoning (firmware/tinylearn/tuning.py, tail.py), as
figures and as a picture: every byte over the time of one sample, every layer, and each method beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tinylearn_host import ir, pages, panels, partition, planner, simulator, sizes, tlm
from tinylearn_host.boards import Board
from tinylearn_host.device import kb
from tinylearn_host.errors import NOT_ENOUGH_RAM, USAGE, TinylearnError
from tinylearn_host.training_sections import BIAS, WEIGHTS

METHODS = ("bias", "scheme", "full")


@dataclass(frozen=True)
class Task:
    """What is to be taught, and in how much RAM: bytes, as adapt(budget=) counts them; None: as much as it takes.

    flash: bytes that a board has for samples; options: of Model.adapt
    """

    ways: int = 5
    shots: int = 5
    budget: int | None = None
    flash: int | None = None

    @property
    def samples(self) -> int:
        return self.ways * self.shots


@dataclass(frozen=True)
class Training:
    """A method that fits: `fit` is the board's tuning.Fit, whose tail is its tail.Tail."""

    method: str
    model: tlm.Model
    fit: Any

    @property
    def tail(self):
        return self.fit.tail

    @property
    def arena(self) -> int:
        """Bytes of one sample's forward, loss and backward."""
        return max(block.at + block.size for block in self.tail.live)


def find(model: tlm.Model, method: str, task: Task, board: Board | None = None, **options) -> Training:
    """The most that a method can train, and the seconds that it takes on a board whose file has cycles. Raises exit
    code 7 with the numbers where not even the least fits."""
    simulator.module()
    tuning = import_module("tinylearn.tuning")
    asked = {"method": method, "budget": task.budget, **options}
    on_board = import_module("tinylearn.model").Model(bytearray(model.raw))
    on_board.in_place = True  # as if it had come from the board's flash
    pace = board and sizes.pace(board, model)
    try:
        settings = tuning.Settings(on_board, asked)
        fit = tuning.find(on_board, method, task.samples, task.ways, settings, pace=pace)
    except MemoryError as error:
        raise TinylearnError(f"{model.name}: {error}", NOT_ENOUGH_RAM) from None
    except ValueError as error:
        raise TinylearnError(f"{model.name}: {error}", USAGE) from None
    if task.flash is not None and fit.flash > task.flash and "cache" not in options:
        return find(model, method, task, board, cache="recompute", **options)
    return Training(method, model, fit)


# ---- Layers ----------------------------------------------------------------------------------------------------------


def layers(training: Training) -> list[dict]:
    """Each operator up to the features: what of it is trained, multiply-accumulates of one sample and step, bytes kept.

    state: "frozen" before the first that is trained; then "trained", "passes" where a gradient goes through on its
    way, and "forward" where none does
    """
    tail, rows = training.tail, []
    back = {op.index: wants for op, wants, _ in tail.back}
    for index, op in enumerate(training.model.ops[: training.model.head]):
        chosen = tail.choice.get(index)
        row = {"index": index, "operator": op.name, "output_shape": list(training.model.tensors[op.y].shape[1:])}
        row["state"] = _state(index, tail, back)
        row["parameters"] = sum(
            training.model.tensors[t].bytes // size for t, size in ((op.w, 1), (op.b, 4)) if t < tlm.NOBODY
        )
        row["trained_weights"], row["trained_biases"] = _trained(tail, index, chosen)
        row["macs_forward"] = op.macs
        row["macs_grad_input"], row["macs_grad_weight"] = _macs(training, index, back)
        row["saved_bytes"] = _saved(training, op, index, back)
        mask = tail.blocks.get(("mask", index))
        row["mask_bytes"] = mask.size if mask else 0
        rows.append(row)
    return rows


def _state(index: int, tail, back: dict) -> str:
    if index < tail.first:
        return "frozen"
    if index in tail.choice:
        return "trained"
    return "passes" if index in back else "forward"


def _trained(tail, index: int, chosen) -> tuple[int, int]:
    """(weights, biases) that change."""
    if chosen is None:
        return 0, 0
    op = tail.ops[index - tail.first]
    outputs, inputs = op.chosen(chosen)
    weights = op.shape[1] * outputs * inputs if chosen.flags & WEIGHTS else 0
    return weights, outputs if chosen.flags & BIAS else 0


def _macs(training: Training, index: int, back: dict) -> tuple[int, int]:
    """Of the gradient to the input, and of that to the weights which are trained."""
    tail = training.tail
    if index not in back:
        return 0, 0
    op = tail.ops[index - tail.first]
    weights, _ = _trained(tail, index, tail.choice.get(index))
    share = weights / training.model.tensors[training.model.ops[index].w].bytes if weights else 0
    return op.macs_input if back[index] else 0, int(op.macs_weight * share)


def _saved(training: Training, op: tlm.OperatorRecord, index: int, back: dict) -> int:
    """Bytes of this operator's input (of a maximum also the output) that wait for the backward."""
    tensors, chosen = training.model.tensors, training.tail.choice.get(index)
    if index not in back:
        return 0
    if op.name == ir.MAX_POOL:
        return tensors[op.x].bytes + tensors[op.y].bytes
    if ("patches", index) in training.tail.blocks:
        return training.tail.blocks["patches", index].size
    return tensors[op.x].bytes if chosen and chosen.flags & WEIGHTS else 0


# ---- Bytes -----------------------------------------------------------------------------------------------------------


def memory(training: Training) -> dict[str, int]:
    """Where the bytes of RAM go that adapting takes beyond what is loaded; their sum is the board's own figure."""
    fit, tail = training.fit, training.tail
    n = training.model.tensors[training.model.features].bytes
    weights = sum((training.model.tensors[t].bytes + 3) & ~3 for kind, t in tail.kept if kind in COPIES)
    tables = tail.size - tail.kept["exponents", 0] - weights
    kept = {
        "one sample": tail.kept["exponents", 0],
        "rates, exponents": tables,
        "weights": weights,
        "best weights": fit.best,
        "features": fit.count * n,
        "samples": fit.records + fit.inputs,
        "panels": fit.panel_bytes,
    }
    return {**kept, "heads": fit.bytes - sum(kept.values())}


COPIES = ("trained", "copy")  # of tensors, among what a tail keeps
KINDS = {"activation": "activation", "work": "scratch", "gradient": "gradient", "mask": "mask", "scratch": "scratch"}
KINDS["patches"] = "activation"  # means of an input over patches, in its place


def blocks(training: Training) -> list[dict]:
    """The arena over time: first and last step, offset and bytes of everything in it, what it holds and its kind.

    Steps count the operators of the tail forward, then the loss, then the same operators back.
    """
    tail, names = training.tail, {}
    for (kind, index), block in tail.blocks.items():
        names.setdefault(id(block), (block, KINDS[kind], []))[2].append(_name(training, kind, index))
    last = 2 * (tail.end - tail.first)
    found = [
        {"kind": kind, "holds": ", ".join(holds), "first": b.first, "last": b.last, "at": b.at, "bytes": b.size}
        for b, kind, holds in names.values()
    ]
    for (kind, index), at in sorted(tail.kept.items(), key=lambda item: item[1]):
        size = min([n for n in (*tail.kept.values(), tail.size) if n > at], default=tail.size) - at
        kept = "weights" if kind in COPIES else "tables"
        holds = f"trained copy of tensor {index}" if kind in COPIES else kind
        found.append({"kind": kept, "holds": holds, "first": 0, "last": last, "at": at, "bytes": size})
    extra = training.fit.arena - training.fit.panel_bytes - tail.size
    found.append({"kind": "cache", "holds": "samples", "first": 0, "last": last, "at": tail.size, "bytes": extra})
    at = tail.size + extra
    for index, _, size, _ in training.fit.panels:
        holds = f"panel of {training.model.ops[index].name} {index}"
        found.append({"kind": "scratch", "holds": holds, "first": 0, "last": last, "at": at, "bytes": size})
        at += size
    return found


def panels_that_stay(training: Training) -> dict:
    """Packed weights that stay while the tail is trained, in the room that its choice has left: of which operators,
    made once by the first sample or, where these are trained, once for all clean samples of a step. seconds_per_step:
    forecast; None where the board has no cycles."""
    fit = training.fit
    once, again = ([i for i, _, _, stays in fit.panels if stays is wanted] for wanted in (True, False))
    seconds = None if fit.step is None else round(fit.saved, 4)
    return {"bytes": fit.panel_bytes, "made_once": once, "made_each_step": again, "seconds_per_step": seconds}


def panel_sentence(training: Training) -> str | None:
    """The same in words, where there are any."""
    found = panels_that_stay(training)
    if not found["bytes"]:
        return None
    which = ", ".join(str(i) for i in sorted(found["made_once"] + found["made_each_step"]))
    saved = "" if found["seconds_per_step"] is None else f", which saves {found['seconds_per_step']:.3g} s of a step"
    return (
        f"While it is trained, packed weights of operators {which} stay in {kb(found['bytes'])} that are left{saved}."
    )


def _name(training: Training, kind: str, index: int) -> str:
    """Of a tensor by the operator that writes it, or of an operator."""
    if kind in ("mask", "scratch", "patches"):
        return f"{kind} of {training.model.ops[index].name} {index}"
    for i, op in enumerate(training.model.ops):
        if index in (op.y, op.s):
            what = {"activation": "output", "gradient": "gradient of the output", "work": "scratch"}[kind]
            return f"{what} of {op.name} {i}"
    return f"{kind} of tensor {index}"


def steps(training: Training) -> list[str]:
    """What happens at each step of `blocks`."""
    tail = training.tail
    forward = [f"{index} {training.model.ops[index].name}" for index in range(tail.first, tail.end)]
    return [*forward, "loss", *(f"{name}, back" for name in reversed(forward))]


def layout(training: Training) -> dict:
    """The arena of one sample beside the least that any layout could take, and what the host's planner makes of it."""
    least = partition.tail().lower_bound(training.tail.live)
    host = planner.place(partition.blocks(training.tail)).bytes
    return {"board": training.arena, "host": host, "lower_bound": least, "ratio": round(training.arena / least, 4)}


# ---- As one object, and as a page ------------------------------------------------------------------------------------


def as_json(chosen: Training, trainings: list[Training], board: Board | None, task: Task) -> dict:
    """Everything that the page shows."""
    fit, tail = chosen.fit, chosen.tail
    return {
        "model": chosen.model.name,
        "board": board.name if board else None,
        "budget": task.budget,
        "ways": task.ways,
        "shots": task.shots,
        "views": fit.views,
        "method": chosen.method,
        "width": tail.width,
        "cut": tail.first,
        "boundary_bytes": tail.record,
        "cache": fit.cache,
        "flash_bytes": fit.flash,
        "ram_bytes": fit.bytes,
        "memory": memory(chosen),
        "layout": layout(chosen),
        "methods": [_in_short(training) for training in trainings],
        "layers": layers(chosen),
        "panels": panels.trade(chosen.model, board),
        "training_panels": panels_that_stay(chosen),
        "steps": steps(chosen),
        "blocks": blocks(chosen),
    }


def _in_short(training: Training) -> dict:
    rows, seconds = layers(training), training.fit.step
    return {
        "method": training.method,
        "operators": sorted(training.tail.choice),
        "cut": training.tail.first,
        "trained_weights": sum(row["trained_weights"] for row in rows),
        "trained_biases": sum(row["trained_biases"] for row in rows),
        "arena_bytes": training.arena,
        "ram_bytes": training.fit.bytes,
        "cache": training.fit.cache,
        "seconds_per_step": None if seconds is None else round(seconds, 4),
    }


def save_html(path: Path, chosen: Training, trainings: list[Training], board: Board | None, task: Task) -> None:
    """The report as one page without links to anywhere. Written to a temporary name first."""
    facts = as_json(chosen, trainings, board, task)
    told = {
        "words": panels.words,
        "trade": [*panels.sentences(facts["panels"]), *filter(None, [panel_sentence(chosen)])],
    }
    pages.save("partition.html", path, {**facts, **told, "picture": Picture(facts), "title": board and board.title})


COLOURS = {
    "activation": "#4c78a8",
    "gradient": "#e45756",
    "mask": "#72b7b2",
    "scratch": "#bab0ac",
    "weights": "#54a24b",
    "tables": "#eeca3b",
    "cache": "#b279a2",
}


class Picture:
    """The arena over time in the units of an SVG: steps to the right, bytes upwards."""

    WIDTH, HEIGHT = 1100, 560

    def __init__(self, facts: dict):
        self.steps = facts["steps"]
        self.top = max(block["at"] + block["bytes"] for block in facts["blocks"])
        self.column = self.WIDTH / len(self.steps)
        self.blocks = [self._rectangle(block) for block in facts["blocks"] if block["bytes"]]
        self.kinds = {kind: c for kind, c in COLOURS.items() if any(b["kind"] == kind for b in facts["blocks"])}
        self.marks = [(size, self.y(size)) for size in self._sizes()]

    def y(self, offset: float) -> float:
        return round(self.HEIGHT * (1 - offset / self.top), 2)

    def _rectangle(self, block: dict) -> dict:
        low, high = self.y(block["at"]), self.y(block["at"] + block["bytes"])
        return {
            **block,
            "x": round(block["first"] * self.column, 2),
            "width": round((block["last"] - block["first"] + 1) * self.column, 2),
            "y": high,
            "height": round(low - high, 2),
            "colour": COLOURS[block["kind"]],
        }

    def _sizes(self) -> range:
        """Some four to ten round sizes for the axis."""
        step = 1024
        while self.top / step > 10:
            step *= 2
        return range(0, self.top + 1, step)
