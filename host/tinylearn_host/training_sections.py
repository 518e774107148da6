"""How to train a model, in its file: the sections BWD, COST and SCHM of docs/SPEC.md, their records and their reader.

Boards predict with a file whose sections are damaged, and refuse to train; here it is refused at once.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinylearn_host import ir, tlm
from tinylearn_host.tlm import NOBODY, Refusal

BWD, COST, SCHM = b"BWD ", b"COST", b"SCHM"
WEIGHTS, BIAS, INPUT, ADD_INPUT, MASK = 1, 2, 4, 8, 16  # flags of BWD; the first two also of a scheme's entry
INPUT_CHANNELS, OUTPUT_CHANNELS = 0, 1  # axis

BACKWARD = struct.Struct("<HHI")
COSTS = struct.Struct("<HH9I")
SCHEME = struct.Struct("<16sIHHII")
ENTRY = struct.Struct("<HBBHHI")
NAME_BYTES = 16
MOST = 1 << 24  # bytes of scratch that a reader believes
FOLLOWING = ("weights", "biases", "macs_forward", "macs_grad_input", "macs_grad_weight", "saved_bytes", "mask_bits")


@dataclass(frozen=True)
class Backward:
    """One operator of the backward program. flags: WEIGHTS ..."""

    op: int
    flags: int

    def pack(self) -> bytes:
        return BACKWARD.pack(self.op, self.flags, 0)


@dataclass(frozen=True)
class Cost:
    """What one operator of the backward takes, all of its channels trained. Scratch in bytes."""

    op: int
    weights: int
    biases: int
    macs_forward: int
    macs_grad_input: int
    macs_grad_weight: int
    saved_bytes: int
    mask_bits: int
    scratch_input: int
    scratch_weight: int

    def pack(self) -> bytes:
        fields = (self.weights, self.biases, self.macs_forward, self.macs_grad_input, self.macs_grad_weight)
        sizes = (self.saved_bytes, self.mask_bits, self.scratch_input, self.scratch_weight)
        return COSTS.pack(self.op, 0, *fields, *sizes)


@dataclass(frozen=True)
class Entry:
    """What a scheme trains of one operator: `count` channels of an axis from `first` on; 0: all of them."""

    op: int
    flags: int
    axis: int = INPUT_CHANNELS
    first: int = 0
    count: int = 0

    def pack(self) -> bytes:
        return ENTRY.pack(self.op, self.flags, self.axis, self.first, self.count, 0)


@dataclass(frozen=True)
class Scheme:
    """A sparse update scheme. ram_bytes: the arena that training takes, without samples; width: of the gradients."""

    name: str
    ram_bytes: int
    width: int
    entries: tuple[Entry, ...]

    def pack(self) -> bytes:
        head = SCHEME.pack(self.name.encode(), self.ram_bytes, len(self.entries), self.width, 0, 0)
        return head + b"".join(entry.pack() for entry in self.entries)


def pack(backward: list[Backward], costs: list[Cost], schemes: list[Scheme]) -> dict[bytes, tuple[bytes, int] | None]:
    """The sections for tlm.rewrite; None, no such section, where there is nothing to say."""
    rows = {BWD: backward, COST: costs, SCHM: schemes}
    return {tag: (b"".join(row.pack() for row in r), len(r)) if r else None for tag, r in rows.items()}


# ---- Reading ---------------------------------------------------------------------------------------------------------


def parse(model: tlm.Model, sections: dict[bytes, tuple[int, int, int]]) -> None:
    """Set the model's backward, costs and schemes from its sections, tag -> (offset, length, records).

    Refusal says what is wrong with them.
    """
    model.backward = [Backward(*f[:2]) for f in _records(model, sections, BWD, BACKWARD)]
    model.costs = [Cost(f[0], *f[2:]) for f in _records(model, sections, COST, COSTS)]
    _check_backward(model)
    _check_costs(model)
    model.schemes = _schemes(model, *sections.get(SCHM, (0, 0, 0)))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Refusal(f"{what}. Convert the model again, or run `tinylearn partition` on it")


def _records(model: tlm.Model, sections: dict, tag: bytes, form: struct.Struct) -> list[tuple]:
    offset, length, count = sections.get(tag, (0, 0, 0))
    fits = length == count * form.size and count <= tlm.MAX_RECORDS
    _require(fits, f"section {tag.decode().strip()}: {count} records do not make {length} bytes")
    return list(form.iter_unpack(model.raw[offset : offset + length]))


def _check_backward(model: tlm.Model) -> None:
    """Last operator first; each has a gradient to go back from, and flags that its operator can have."""
    graded, last = {model.features}, model.head
    for n, record in enumerate(model.backward):
        where = f"section BWD, record {n}"
        _require(record.op < last, f"{where}: operator {record.op} is out of order")
        op, last = model.ops[record.op], record.op
        _require(op.name != ir.SOFTMAX, f"{where}: a softmax has no gradient")
        _require(op.y in graded, f"{where}: no gradient leads to operator {record.op}")
        _require(not record.flags & ~_possible(op), f"{where}: {op.name} cannot have the flags {record.flags}")
        graded.discard(op.y)
        graded |= {t for t, flag in ((op.x, INPUT), (op.x2, ADD_INPUT)) if record.flags & flag}


def _possible(op: tlm.OperatorRecord) -> int:
    weights, bias = (WEIGHTS if op.w != NOBODY else 0), (BIAS if op.b != NOBODY else 0)
    return weights | bias | INPUT | (ADD_INPUT if op.x2 != NOBODY else 0) | MASK


def _check_costs(model: tlm.Model) -> None:
    """One for each record of BWD, with the numbers that follow from the operator; scratch may be larger."""
    from tinylearn_host import autodiff

    same = [cost.op for cost in model.costs] == [record.op for record in model.backward]
    _require(same, "section COST: its operators are not those of BWD")
    for n, (record, found) in enumerate(zip(model.backward, model.costs, strict=True)):
        op, expected = model.ops[record.op], autodiff.cost(model, record)
        row = autodiff.least_row(model, op) if record.flags & INPUT else 0
        sums = autodiff.least_sums(model, op) if record.flags & WEIGHTS else 0
        enough = row <= found.scratch_input <= MOST and sums <= found.scratch_weight <= MOST
        _require(enough, f"section COST, record {n}: less scratch than the plain kernels need, or more than any board")
        for field in FOLLOWING:
            a, b = getattr(found, field), getattr(expected, field)
            _require(a == b, f"section COST, record {n}: {field} is {a}, its operator has {b}")


def _schemes(model: tlm.Model, offset: int, length: int, count: int) -> list[Scheme]:
    at, end, found = offset, offset + length, []
    for n in range(count):
        _require(end - at >= SCHEME.size, f"section SCHM: scheme {n} of {count} is cut short")
        raw, ram_bytes, entries, width, _, _ = SCHEME.unpack_from(model.raw, at)
        at += SCHEME.size
        where = f"section SCHM, scheme {n}"
        _require(entries and end - at >= entries * ENTRY.size, f"{where}: there are no {entries} entries")
        _require(width in (8, 16), f"{where}: gradients have 8 or 16 bits, not {width}")
        block = model.raw[at : at + entries * ENTRY.size]
        at += len(block)
        name = _name(raw, where)
        _require(name not in {scheme.name for scheme in found}, f"{where}: there is another one called {name}")
        chosen = tuple(Entry(*f[:5]) for f in ENTRY.iter_unpack(block))
        _check_entries(model, chosen, where)
        found.append(Scheme(name, ram_bytes, width, chosen))
    _require(at == end, f"section SCHM: {end - at} bytes behind its {count} schemes")
    return found


def _name(raw: bytes, where: str) -> str:
    try:
        name = raw.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        name = ""
    _require(name.isprintable() and name != "", f"{where}: its name {raw!r} is no text")
    return name


def _check_entries(model: tlm.Model, entries: tuple[Entry, ...], where: str) -> None:
    """Each operator once, in order, and nothing of it that cannot be trained."""
    from tinylearn_host import autodiff

    allowed, last = {record.op: record.flags for record in model.backward}, -1
    for entry in entries:
        _require(entry.op > last, f"{where}: operator {entry.op} is out of order")
        last = entry.op
        flags = allowed.get(entry.op, 0) & (WEIGHTS | BIAS)
        _require(entry.flags and not entry.flags & ~flags, f"{where}: operator {entry.op} cannot be trained so")
        op = model.ops[entry.op]
        _, inputs, outputs = autodiff.weight_shape(model, op)
        most = outputs if entry.axis or op.name == ir.DEPTHWISE_CONV2D else inputs
        fits = entry.axis <= OUTPUT_CHANNELS and entry.first + entry.count <= most
        fits = fits and (entry.count > 0 or entry.first == 0)
        _require(fits, f"{where}: operator {entry.op} has not the channels {entry.first} and {entry.count} more")
