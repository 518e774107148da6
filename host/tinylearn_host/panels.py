"""Weight panels, what they take and what they save: the trade that the planner makes (variants.py), told per layer.

A fast kernel reads weights as words of two (native_modules/kernels/micro.h). A convolution's panel is made anew for
each answer, in scratch that it shares with whatever else the arena holds: of all output channels at once, or streamed
in parts where there is less room, and then the image is walked, and its windows gathered, once per part. Where there
is RAM for it, it lies in the arena for itself (`keep`), and is made once, as long as its weights stay what they are. A
dense layer has no pixels to share its panel's making, so it lies in the file, made once by the host, or there is none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from tinylearn_host import ir, tlm, variants
from tinylearn_host.boards import Board

# Cycles of a Cortex-M0+, by profile (benchmarks/run.py --profile "L? forward"): to pack a weight; to unpack a value of
# a window, and to gather one first, where it does not lie in one piece. They come again with each part of a panel.
PACK, UNPACK, GATHER = 10, 4.2, 5.2


@dataclass(frozen=True)
class Panel:
    """kept: "load" (made by the first answer for all), "each answer", "in parts", "file", "none" (the kernel reads
    weights as they are) or "plain" (a slow kernel)

    bytes: of scratch, or in the file; whole: with which nothing would have to be streamed, or made; parts; cycles: of a
    Cortex-M0+ per answer, that making the panel takes, and again: that parts after the first add
    """

    index: int
    operator: str
    kept: str
    bytes: int
    whole: int
    parts: int
    cycles: int
    again: int


def panels(model: tlm.Model) -> list[Panel]:
    """Of every operator with weights."""
    return [_panel(model, i, op) for i, op in enumerate(model.ops) if op.name in ir.WEIGHTED]


def _panel(model: tlm.Model, index: int, op: tlm.OperatorRecord) -> Panel:
    weights = model.tensors[op.w].bytes
    scratch = model.tensors[op.s].bytes if op.s != tlm.NOBODY else 0
    if op.variant == variants.PLAIN:
        return Panel(index, op.name, "plain", 0, 0, 1, 0, 0)
    if op.name == ir.FULLY_CONNECTED:
        in_file = bool(op.q[1])
        return Panel(index, op.name, "file" if in_file else "none", 2 * weights * in_file, 2 * weights, 1, 0, 0)
    if op.name == ir.DEPTHWISE_CONV2D:
        return Panel(index, op.name, "none", scratch, scratch, 1, 0, 0)
    x, y = model.tensors[op.x].shape[1:], model.tensors[op.y].shape[1:]
    g = variants.Window(x, y, op.kernel, op.stride, op.dilation, op.padding)
    fours, alone = -(-g.y[2] // 4), variants.conv2d_scratch(g, 0)
    at_once = min((scratch - alone) // (variants.conv2d_scratch(g, 1) - alone), fours)
    parts = -(-fours // at_once)
    each = UNPACK + (0 if g.kernel == (1, 1) and g.x[2] % 4 == 0 else GATHER)
    again = (parts - 1) * g.y[0] * g.y[1] * weights // g.y[2] * each
    whole = variants.conv2d_scratch(g, fours)
    if op.q[0]:
        return Panel(index, op.name, "load", scratch, whole, 1, 0, 0)
    kept = "each answer" if parts == 1 else "in parts"
    return Panel(index, op.name, kept, scratch, whole, parts, PACK * weights, round(again))


def keep(model: tlm.Model, room: int) -> tlm.Model:
    """The same model where panels lie in the arena for themselves, so that the first answer makes them for all: of as
    many convolutions as `room` bytes more of arena have room for, those first that save most for their bytes."""
    made = [p for p in panels(model) if p.kept in ("each answer", "in parts")]
    tensors, ops, end = list(model.tensors), list(model.ops), (model.arena + 7) & ~7
    limit = end + room
    for p in sorted(made, key=lambda p: -(p.cycles + p.again) / p.whole):
        if end + p.whole <= limit:
            op = ops[p.index]
            tensors[op.s] = replace(tensors[op.s], place=end, bytes=p.whole)
            ops[p.index] = replace(op, q=(1, *op.q[1:]))
            end += (p.whole + 7) & ~7
    return tlm.read(tlm.rewrite(replace(model, arena=end, tensors=tensors, ops=ops), {}))


def trade(model: tlm.Model, board: Board | None) -> dict:
    """All panels, and in sum: bytes that they would take if they were kept from load on, and cycles and seconds of each
    answer that this would save; the same of what is streamed in parts for want of scratch."""
    found = panels(model)
    made = [p for p in found if p.kept in ("each answer", "in parts")]
    total = {
        "file_bytes": sum(p.bytes for p in found if p.kept == "file"),
        "kept_bytes": sum(p.whole for p in made),
        "stay_bytes": sum(p.bytes for p in found if p.kept == "load"),
        "made_cycles": sum(p.cycles for p in made),
        "again_cycles": sum(p.again for p in made),
        "most_scratch": max((p.whole for p in made), default=0),
    }
    hz = board.clock_hz if board and board.arch == "armv6m" else None
    for name in ("made", "again"):
        total[f"{name}_seconds"] = round(total[f"{name}_cycles"] / hz, 6) if hz else None
    return {"layers": [asdict(p) for p in found], **total}


KEPT = {
    "load": "made once",
    "each answer": "made for each answer",
    "in parts": "streamed in {} parts",
    "file": "in the file",
    "none": "",
    "plain": "plain kernel",
}


def words(layer: dict) -> str:
    """What becomes of one layer's panel, in words."""
    return KEPT[layer["kept"]].format(layer["parts"])


def sentences(found: dict) -> list[str]:
    """The trade in words."""
    kb = found["kept_bytes"] / 1024
    time = _time(found["made_cycles"], found["made_seconds"])
    told = []
    if found["made_cycles"]:
        told.append(
            f"Panels of convolutions are made for each answer in scratch that they share, which takes {time} of it; "
            f"kept from load on they would take {kb:.1f} KB of RAM: --panels says how much of it there is for them."
        )
    if found["again_cycles"]:
        again = _time(found["again_cycles"], found["again_seconds"])
        told.append(
            f"Streaming them in parts takes {again} more; {found['most_scratch'] / 1024:.1f} KB of scratch would do "
            "without; the arena has grown by a quarter for it at most."
        )
    if found["stay_bytes"]:
        told.append(f"Those that the first answer makes for all take {found['stay_bytes'] / 1024:.1f} KB of the arena.")
    if found["file_bytes"]:
        told.append(f"Those of dense layers lie in the file, {found['file_bytes'] / 1024:.1f} KB.")
    return told


def _time(cycles: int, seconds: float | None) -> str:
    return f"{cycles / 1e3:,.0f} thousand cycles" if seconds is None else f"{seconds * 1e3:.1f} ms"
