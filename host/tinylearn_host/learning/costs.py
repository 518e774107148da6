"""What one adaptation takes: bytes while it trains, multiply-accumulates, seconds on a Pico, bytes of flash in the end.

Bytes, operations and seconds are reckoned by the code that runs on the board (firmware/tinylearn/tuning.py, plan.py);
seconds from the forward's cycles on a Pico, as boards/pico.toml has them. `tinylearn benchmark --replay` measures.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tinylearn_host import boards, simulator, sizes, tlm
from tinylearn_host.learning import arithmetic
from tinylearn_host.learning.arithmetic import Integers, Job
from tinylearn_host.learning.tasks import Task

PICO = "pico"


def of(job: Job, task: Task, model: tlm.Model) -> dict:
    """Empty for rows that no board runs.

    ram: bytes at the peak beyond model and code, without packed weights that stay where there is room. saved:
    activations and masks of one sample that wait for the backward.
    macs: of the whole adaptation; backward_macs: of one sample and step. seconds: on a Pico. delta: bytes of the .tld.
    backward_bytes: of RAM that one sample's way there and back through the tail takes; whole: the same of all layers.
    """
    if job.arithmetic not in arithmetic.WIDTHS or job.method in (arithmetic.NONE, *arithmetic.WITHOUT_NETWORK):
        return {}
    runner = Integers(job, task, model)
    episode = task.episode(job.seed, 0)
    board, count = boards.find(PICO), len(episode.support)
    pace = sizes.pace(board, model)
    fit = _fit(job, model, count, task.way, pace)
    if fit:
        found = {
            "ram": fit.bytes - fit.panel_bytes,
            "saved": saved(fit.tail),
            "macs": fit.first_macs + fit.steps * fit.step_macs,
        }
        found.update(backward_macs=fit.tail.macs[2], cache=fit.cache, seconds=round(fit.seconds, 1))
        found.update(backward_bytes=fit.tail.size, whole=whole(job, model, count, task.way))
        found.update(filtered(fit.tail))
    else:
        simulator.on_path()
        method = arithmetic.firmware("head").HEADS[0] if job.method == arithmetic.AUTO else job.method
        plan = import_module("tinylearn.model").load(str(runner.path), recall=False).plan(method, task.way, task.shot)
        forward = sum(op.macs for op in model.ops[: model.head])
        found = {"ram": plan.features + plan.head + plan.training, "saved": 0, "macs": forward * count}
        found["seconds"] = round(count * sum(pace.times[: model.head]), 1)
    found["delta"] = delta(runner, task)
    return found


def _fit(job: Job, model: tlm.Model, count: int, way: int, pace: sizes.Pace):
    """firmware/tinylearn/tuning.Fit of what is trained; None where nothing is, or, by "auto", where nothing fits."""
    if not arithmetic.trains(job.method):
        return None
    try:
        return arithmetic.fit(model, job, count, way, pace=pace)[1]
    except MemoryError:
        if job.method == arithmetic.AUTO:
            return None
        raise


def whole(job: Job, model: tlm.Model, count: int, way: int) -> dict:
    """Training all layers. bytes: of the arena, one sample at a time; float_bytes: as a PC counts them, in float32
    with Adam: weights, gradients, two moments, the inputs of layers with weights; float_bytes_100: of 100 samples."""
    everything = replace(job, method="full", options={"layers": len(model.ops), "budget": 1 << 30})
    tail = arithmetic.fit(model, everything, count, way)[1].tail
    ops = [model.ops[i] for i in tail.choice]
    weights = sum(model.tensors[op.w].bytes + model.tensors[op.y].shape[3] for op in ops)
    inputs = sum(model.tensors[op.x].bytes for op in ops)
    found = {"bytes": tail.size, "backward_macs": tail.macs[2]}
    return {**found, "float_bytes": 4 * (4 * weights + inputs), "float_bytes_100": 4 * (4 * weights + 100 * inputs)}


def filtered(tail) -> dict:
    """Of the layers whose gradients are filtered: multiply-accumulates back and bytes saved of one sample, and what
    they were without (plain_); empty where there are none."""
    wants = {op.index: wants_x for op, wants_x, _ in tail.back}
    found = dict.fromkeys(("macs", "plain_macs", "saved", "plain_saved"), 0)
    for op, patches in getattr(tail, "filtered", ()):
        weights = op.index in tail.choice and tail.choice[op.index].flags & 1
        work = (op.macs_input if wants[op.index] else 0) + (op.macs_weight if weights else 0)
        found["macs"] += work
        found["plain_macs"] += round(work / op.share)
        if weights:
            found["saved"] += patches
            found["plain_saved"] += tail.model.nbytes(op.x)
    return {"filtered": found} if found["macs"] else {}


def saved(tail) -> int:
    """Bytes that wait through the loss for the backward: inputs of trained layers, outputs of maxima, masks."""
    loss = tail.end - tail.first
    waiting = {id(block): block.size for (kind, _), block in tail.blocks.items() if _waits(kind, block, loss)}
    return sum(waiting.values())


def _waits(kind: str, block, loss: int) -> bool:
    return kind in ("activation", "mask", "patches") and block.first < loss < block.last


def delta(runner: Integers, task: Task) -> int:
    """Bytes of the file that keeps what was learned from episode 0."""
    model = runner.adapted(task.episode(runner.job.seed, 0), 0)
    with tempfile.TemporaryDirectory() as folder:
        model.path = str(Path(folder) / "model.tlm")
        model.save()
        return sum(file.stat().st_size for file in Path(folder).glob("*.tld.*"))
