"""Prepares a model for training: its backward program and costs go into the file, and sparse update schemes with them.

What a choice of operators takes is reckoned by the board's own planner (firmware/tinylearn/tail.py), which runs here
over `OnBoard`, so there is one layout code, and what the host says is what the board does.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from types import ModuleType

from tinylearn_host import autodiff, ir, paths, planner, tlm
from tinylearn_host.training_sections import BIAS, WEIGHTS, Backward, Entry, Scheme, pack

DOMAINS = ("image", "spectrogram", "signal")  # of samples: what firmware/tinylearn/augment.py knows how to vary
BUDGETS = {"32K": 32 << 10, "48K": 48 << 10, "64K": 64 << 10, "96K": 96 << 10, "128K": 128 << 10}
SHARES = (1, 2, 4, 8)  # of the input channels: all, a half, a quarter, an eighth
WIDTH = 8
SAMPLES, WAYS = 25, 5  # that a scheme's budget has room for


def prepare(model: tlm.Model) -> tlm.Model:
    """The same model, ready to be trained: with backward program, costs and default schemes. Weights stay as they are.

    A model of which nothing can be trained stays without.
    """
    backward = autodiff.differentiate(model)
    costs = [autodiff.cost(model, record) for record in backward]
    bare = tlm.read(tlm.rewrite(model, pack(backward, costs, [])))
    return with_schemes(bare, default_schemes(bare)) if backward else bare


def with_meta(model: tlm.Model, **known) -> tlm.Model:
    """The same model where META says these, too; what it says already stays."""
    return tlm.read(tlm.rewrite(model, {b"META": (tlm.meta_text({**known, **model.meta}), 0)}))


def with_schemes(model: tlm.Model, schemes: list[Scheme]) -> tlm.Model:
    """The same model with these schemes instead of those that it had."""
    return tlm.read(tlm.rewrite(model, pack(model.backward, model.costs, schemes)))


def renewed(model: tlm.Model) -> tlm.Model:
    """The same model where costs, and with them the bytes of schemes, are what today's kernels take: files that were
    made for others have scratch in which these run slowly."""
    costs = [autodiff.cost(model, record) for record in model.backward]
    if costs == model.costs:
        return model
    bare = tlm.read(tlm.rewrite(model, pack(model.backward, costs, [])))
    schemes = [replace(s, ram_bytes=plan(bare, s.entries, s.width).size) for s in model.schemes]
    return with_schemes(bare, schemes)


# ---- What a choice takes ---------------------------------------------------------------------------------------------


@cache
def tail() -> ModuleType:
    """The board's planner. Loaded by its path: its package would want the simulator, and so a compiler."""
    spec = importlib.util.spec_from_file_location("tinylearn_tail", paths.FIRMWARE / "tail.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class OnBoard:
    """A model as the board's planner asks it: what firmware/tinylearn/model.py offers, over a parsed file.

    in_place: whether the file lies in RAM, so that weights are trained in it, or is mapped, and they have copies.
    """

    def __init__(self, model: tlm.Model, in_place: bool = True):
        self.in_place = in_place
        self.model, self.file = model, memoryview(model.raw)
        self.first_of_head, self.operators, self.tensors = model.head, len(model.ops), len(model.tensors)
        self.ends = (model.input, model.output, model.features)
        self.changed = ()
        self._sections = tlm.sections(model.raw)

    def section(self, tag: bytes) -> tuple[int, int, int]:
        return self._sections.get(tag, (0, 0, 0))

    def nbytes(self, index: int) -> int:
        return self.model.tensors[index].bytes

    def shape(self, index: int) -> tuple[int, int, int, int]:
        return self.model.tensors[index].shape

    def in_arena(self, index: int) -> bool:
        return self.model.tensors[index].region == tlm.IN_ARENA

    def operator(self, index: int, form: str, offset: int) -> tuple:
        return tlm.struct.unpack_from(form, self.file, self.section(b"OPS ")[0] + index * tlm.OPERATOR.size + offset)


def plan(model: tlm.Model, entries: tuple[Entry, ...], width: int = WIDTH):
    """The board's plan (a tail.Tail) for training these parts of these operators."""
    choice = {e.op: tail().Trained(e.flags, e.axis, e.first, e.count, None) for e in entries}
    return tail().Tail(OnBoard(model), choice, width)


def blocks(plan) -> list[planner.Block]:
    """The board's blocks for the host's planner, which knows more ways to lay them out: to compare."""
    return [planner.Block([], block.size, block.first, block.last) for block in plan.live]


# ---- Schemes ---------------------------------------------------------------------------------------------------------


def default_schemes(model: tlm.Model) -> list[Scheme]:
    """One for each budget, the largest first; where two budgets have room for the same, the smaller."""
    found: dict[tuple[Entry, ...], Scheme] = {}
    for name, budget in BUDGETS.items():
        entries = choose(model, budget)
        if entries and entries not in found:
            found[entries] = scheme(model, name, entries)
    return sorted(found.values(), key=lambda scheme: -scheme.ram_bytes)


def scheme(model: tlm.Model, name: str, entries: tuple[Entry, ...]) -> Scheme:
    return Scheme(name, plan(model, entries).size, WIDTH, entries)


def choose(model: tlm.Model, budget: int, taken: Callable[[tuple[Entry, ...]], int] | None = None) -> tuple[Entry, ...]:
    """What to train where adapting may take so many bytes of RAM: the biases of as many last layers as two thirds of it
    have room for, then their weights, from the fewest on and depthwise ones last, on as large a share of the input
    channels as still fits. Where none does, biases alone. taken: bytes that entries take; None: adapting_bytes.

    A rule of thumb for models that nobody has searched, within the layers that do the last two thirds of the work:
    biases cost least, and small weights of many layers are worth more than the large ones of the last.
    """
    taken = taken or partial(adapting_bytes, model)
    usual = {op.index for op in tail().usual(OnBoard(model), 2, 3)}

    def fits(entries: dict[int, Entry], room: int = budget) -> bool:
        return taken(ordered(entries)) <= room

    def biases(room: int) -> dict[int, Entry]:
        found = [record.op for record in model.backward if record.flags & BIAS and record.op in usual]
        most = ({op: Entry(op, BIAS) for op in found[:k]} for k in range(len(found), 0, -1))
        return next((entries for entries in most if fits(entries, room)), {})

    chosen = biases(budget * 2 // 3)
    for record in sorted(model.backward, key=lambda record: _size(model, record)):
        if record.op in chosen:
            more = (entry for entry in _weights(model, record) if fits({**chosen, record.op: entry}))
            chosen[record.op] = next(more, chosen[record.op])
    return ordered(chosen if any(entry.flags & WEIGHTS for entry in chosen.values()) else biases(budget))


def ordered(entries: dict[int, Entry]) -> tuple[Entry, ...]:
    return tuple(entries[op] for op in sorted(entries))


def adapting_bytes(model: tlm.Model, entries: tuple[Entry, ...], samples: int = SAMPLES, ways: int = WAYS) -> int:
    """RAM that adapting takes beyond what is loaded, the samples kept on the flash (firmware/tinylearn/tuning.py: Fit).

    The arena, one sample, all features, and the heads; the best weights are kept where there is more room.
    """
    tail = plan(model, entries)
    n, m = model.tensors[model.features].bytes, min(model.tensors[model.features].bytes, samples)
    training, head = ways * (10 * n + 17) + 4 * (n + 2 * ways), ways * (6 * n + 17)
    closed_form = 4 * (m * (m + 1) // 2 + m + 2 * n + ways + (ways * n + 1) // 2)
    last_layer = 4 * (samples * ways + samples + n + 2 * ways) + 2 * n
    arena = tail.size + tail.record + samples * n + model.tensors[model.input].bytes
    return arena + max(training, head + max(closed_form, last_layer))


def _size(model: tlm.Model, record: Backward) -> tuple[bool, int]:
    op = model.ops[record.op]
    return op.name == ir.DEPTHWISE_CONV2D, model.tensors[op.w].bytes if record.flags & WEIGHTS else 0


def _weights(model: tlm.Model, record: Backward) -> list[Entry]:
    """Bias and weights of one operator on ever smaller shares of its input channels; of a depthwise one all of them."""
    op, trained = model.ops[record.op], record.flags & (WEIGHTS | BIAS)
    if not trained & WEIGHTS:
        return []
    if op.name == ir.DEPTHWISE_CONV2D:
        return [Entry(record.op, trained)]
    channels = autodiff.weight_shape(model, op)[1]
    parts = [Entry(record.op, trained, count=channels // share) for share in SHARES if channels >= share]
    return [replace(part, count=0) if part.count == channels else part for part in parts]
