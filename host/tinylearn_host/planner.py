"""Where every byte of the arena goes: blocks with lifetimes, placed so that those alive together never overlap.

`forward` finds the lifetimes of a graph's activations and shares memory where an operator may work in place;
`place` gives any set of blocks their offsets. The peak of live bytes is a bound below which no layout can go.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tinylearn_host import ir

ALIGNMENT = 8
IN_PLACE = {ir.RESHAPE, ir.CLAMP, ir.ADD}  # y may lie exactly where an input lies that nobody reads afterwards
TRIES = 2000


@dataclass
class Block:
    """`bytes` of the arena, in use from step `first` to step `last` inclusive. Names share it one after the other."""

    names: list[str]
    bytes: int
    first: int
    last: int
    offset: int = -1

    def meets(self, other: Block) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass
class Layout:
    blocks: list[Block]
    bytes: int
    lower_bound: int
    places: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.bytes / self.lower_bound if self.lower_bound else 1.0


def forward(graph: ir.Graph, scratch: dict[int, int] | None = None) -> Layout:
    """Lay out the activations of `graph` and the scratch bytes {operator index: bytes} of single operators.

    The input is alive from the first operator, the output to the last. Scratch is named `scratch_name(index)`.
    """
    blocks = activations(graph)
    for index, size in (scratch or {}).items():
        blocks.append(Block([scratch_name(index)], size, index, index))
    return place(blocks)


def scratch_name(index: int) -> str:
    return f"scratch of operator {index}"


def activations(graph: ir.Graph) -> list[Block]:
    last_read = {name: index for index, op in enumerate(graph.ops) for name in op.inputs}
    last_read[graph.output] = len(graph.ops)
    holder = {graph.input: Block([graph.input], graph.tensors[graph.input].bytes, 0, last_read.get(graph.input, 0))}
    blocks = [holder[graph.input]]
    for index, op in enumerate(graph.ops):
        size, last = graph.tensors[op.output].bytes, last_read.get(op.output, index)
        shared = [holder[name] for name in op.inputs if _may_share(op, holder[name], index)]
        if shared:
            block = shared[0]
            block.names.append(op.output)
            block.last = max(block.last, last)
        else:
            block = Block([op.output], size, index, last)
            blocks.append(block)
        holder[op.output] = block
    return blocks


def _may_share(op: ir.Op, block: Block, index: int) -> bool:
    """A reshape changes no byte; other operators in place need an input that nobody reads afterwards."""
    return op.code == ir.RESHAPE or (op.code in IN_PLACE and block.last == index)


def place(blocks: list[Block]) -> Layout:
    """Give each block its offset.

    First fit in three orders that suit most graphs; where none reaches the lower bound, the best order is improved by
    seeded random swaps. The same blocks always give the same layout.
    """
    bound = lower_bound(blocks)
    orders: list[Callable[[Block], tuple]] = [
        lambda b: (-b.bytes, b.first),
        lambda b: (-b.bytes * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.bytes),
    ]
    candidates = [sorted(blocks, key=key) for key in orders]
    best = min(candidates, key=lambda order: _first_fit(order)[1])
    offsets, total = _first_fit(best)
    chance = random.Random(0)
    for _ in range(TRIES if len(blocks) > 2 else 0):
        if total <= bound:
            break
        order = list(best)
        order.insert(chance.randrange(len(order)), order.pop(chance.randrange(len(order))))
        trial, trial_total = _first_fit(order)
        if trial_total <= total:
            best, offsets, total = order, trial, trial_total
    for block, offset in zip(best, offsets, strict=True):
        block.offset = offset
    return Layout(blocks, total, bound, {name: block.offset for block in blocks for name in block.names})


def _first_fit(order: list[Block]) -> tuple[list[int], int]:
    """Each block in turn at the lowest offset where it meets no earlier one. Gives (offsets, total bytes)."""
    offsets: list[int] = []
    total = 0
    for index, block in enumerate(order):
        size, at = _aligned(block.bytes), 0
        taken = [(offsets[i], offsets[i] + _aligned(b.bytes)) for i, b in enumerate(order[:index]) if block.meets(b)]
        for start, end in sorted(taken):
            if start - at >= size:
                break
            at = max(at, end)
        offsets.append(at)
        total = max(total, at + size)
    return offsets, total


def lower_bound(blocks: list[Block]) -> int:
    """The most bytes that are alive at one step."""
    return max((live_bytes(blocks, step) for step in {block.first for block in blocks}), default=0)


def live_bytes(blocks: list[Block], step: int) -> int:
    return sum(_aligned(block.bytes) for block in blocks if block.first <= step <= block.last)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
