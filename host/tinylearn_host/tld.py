"""The `.tld` delta file of docs/SPEC.md, what a board has learned: reader, and the number it gets on another board.

A reader of its own, on purpose: tests hold it and the board's (firmware/tinylearn/delta.py) to the same files.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinylearn_host import ir, tlm
from tinylearn_host.errors import BAD_MODEL, TinylearnError

MAGIC, MAJOR = b"TLDL", 1
HEADER = struct.Struct("<4sHHII32sHH")
RECORD = struct.Struct("<HHII")
HEAD = struct.Struct("<6i")
LABEL = struct.Struct("<HH")
PARTS = ("head", "labels", "rows", "biases", "sums", "counts", "owners")  # the head's records, kinds 1 to 7
TENSOR, HELD, MEMORY = 16, 17, 18
LINEAR = 1
MOST_CLASSES, LONGEST_LABEL = 256, 255


class Refusal(Exception):
    """What is wrong with the file, without its name."""


@dataclass(frozen=True)
class Head:
    """n features, k rows; rows int16 [k, n], biases int32 [k], sums int32 [k, n], counts int32 [k].

    owners uint8 [k]: the class of each row, an index of labels.
    """

    n: int
    k: int
    zero_point: int
    mult: int
    shift: int
    labels: list[int | str]
    rows: np.ndarray
    biases: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    owners: np.ndarray


@dataclass(frozen=True)
class Change:
    """New bytes for a constant tensor of the model, from an offset in it."""

    tensor: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Held:
    """Channels of a feature map that continual learning holds: a bit for each."""

    tensor: int
    bits: bytes

    @property
    def channels(self) -> list[int]:
        return [c for c in range(8 * len(self.bits)) if self.bits[c >> 3] >> (c & 7) & 1]


@dataclass(frozen=True)
class Memory:
    """Samples of earlier tasks, as what operator `first` reads: rows of the head, and a record of each."""

    first: int
    rows: list[int]
    records: list[bytes]


@dataclass(frozen=True)
class Delta:
    """A parsed .tld; `raw` is the whole file, `model` the SHA-256 of the model it belongs to."""

    raw: bytes
    sequence: int
    model: bytes
    head: Head | None = None
    changes: list[Change] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    memory: Memory | None = None


def read(source: str | Path | bytes, model: tlm.Model | None = None) -> Delta:
    """Parse and verify a .tld, from a path or its bytes; with a model, also that it fits that.

    Raises TinylearnError (11) naming what is at fault.
    """
    name = "the delta"
    if not isinstance(source, bytes):
        name = str(source)
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise TinylearnError(f"cannot read {name}: {error.strerror}", BAD_MODEL) from None
    try:
        delta = _parse(source)
        if model is not None:
            _check(delta, model)
    except Refusal as refusal:
        raise TinylearnError(f"{name}: {refusal}", BAD_MODEL) from None
    return delta


def seal(raw: bytes) -> bytes:
    """Set the checksum of a delta whose other bytes are final."""
    return raw[:-4] + struct.pack("<I", zlib.crc32(raw[:-4]))


def renumbered(delta: Delta, sequence: int) -> bytes:
    """The same delta as a later or earlier save."""
    return seal(delta.raw[:12] + struct.pack("<I", sequence) + delta.raw[16:])


# ---- What the file says of itself ------------------------------------------------------------------------------------


def _parse(raw: bytes) -> Delta:
    if raw[:4] != MAGIC:
        raise Refusal(f"not a .tld delta: it starts with {raw[:4]!r}, {MAGIC!r} was expected")
    if len(raw) < HEADER.size:
        raise Refusal(f"{len(raw)} bytes long, too short for a .tld, whose header alone has {HEADER.size}")
    _, major, _, length, sequence, model, count, _ = HEADER.unpack_from(raw)
    if major != MAJOR:
        raise Refusal(f"version {major} of the format; this tinylearn reads version {MAJOR}")
    if length < HEADER.size + 4 or length % 4:
        raise Refusal(f"the header says that it has {length} bytes, which cannot be")
    if length > len(raw):
        raise Refusal(f"cut short: {len(raw)} bytes, the header says {length}. Pull it again")
    raw = raw[:length]
    crc, found = struct.unpack("<I", raw[-4:])[0], zlib.crc32(raw[:-4])
    if crc != found:
        raise Refusal(f"damaged: its checksum is {found:08x}, it says {crc:08x}. Pull it again")
    parts: dict[str, bytes] = {}
    changes, held, memory = [], {}, None
    for kind, tensor, offset, content in _records(raw, count):
        if kind == TENSOR:
            changes.append(Change(tensor, offset, content))
        elif kind == HELD:
            if tensor in held or offset:
                raise Refusal(f"it has two records, or a part of one, of what is held of tensor {tensor}")
            held[tensor] = Held(tensor, content)
        elif kind == MEMORY:
            if memory or offset:
                raise Refusal("it has two records, or a part of one, of samples of earlier tasks")
            memory = _memory(tensor, content)
        elif not 1 <= kind <= len(PARTS):
            raise Refusal(f"it has records of kind {kind}, which this tinylearn does not know")
        elif PARTS[kind - 1] in parts:
            raise Refusal(f"it has two records of kind {kind}")
        else:
            parts[PARTS[kind - 1]] = content
    head = _head(parts) if parts else None
    if memory and (head is None or max(memory.rows) >= head.k):
        raise Refusal("its samples of earlier tasks are of rows that its head has not")
    return Delta(raw, sequence, model, head, changes, list(held.values()), memory)


def _memory(first: int, content: bytes) -> Memory:
    size = struct.unpack_from("<I", content)[0] if len(content) > 4 else 0
    if not size or (len(content) - 4) % (size + 1):
        raise Refusal("its samples of earlier tasks are damaged")
    each = [content[at : at + size + 1] for at in range(4, len(content), size + 1)]
    return Memory(first, [record[0] for record in each], [record[1:] for record in each])


def _records(raw: bytes, count: int):
    """(kind, tensor, offset, content) of each record."""
    at, end = HEADER.size, len(raw) - 4
    for _ in range(count):
        if at + RECORD.size > end:
            raise Refusal("its records do not fit its length")
        kind, tensor, offset, size = RECORD.unpack_from(raw, at)
        at += RECORD.size
        if size > end - at:
            raise Refusal("its records do not fit its length")
        yield kind, tensor, offset, raw[at : at + size]
        at += size + -size % 4
    if at != end:
        raise Refusal("its records do not fit its length")


def _head(parts: dict[str, bytes]) -> Head:
    missing = [name for name in PARTS[:-1] if name not in parts]
    if missing or len(parts["head"]) != HEAD.size:
        raise Refusal(f"its head is not whole: {', '.join(missing) or 'its first record'} is missing")
    sort, n, k, zero_point, mult, shift = HEAD.unpack(parts["head"])
    if sort != LINEAR:
        raise Refusal(f"its head is of sort {sort}, which this tinylearn does not know")
    if not (n >= 1 and 2 <= k <= MOST_CLASSES and 0 <= mult <= 65535 and 0 <= shift <= 62):
        raise Refusal(f"its head has {n} features, {k} rows, scale {mult} / 2^{shift}: that is out of range")
    parts.setdefault("owners", bytes(range(k)))
    arrays = {}
    for name, dtype, shape in (
        ("rows", "<i2", (k, n)),
        ("biases", "<i4", (k,)),
        ("sums", "<i4", (k, n)),
        ("counts", "<i4", (k,)),
        ("owners", "<u1", (k,)),
    ):
        if len(parts[name]) != np.dtype(dtype).itemsize * int(np.prod(shape)):
            raise Refusal(f"its {name} have {len(parts[name])} bytes, which are not {k} rows of {n} features")
        arrays[name] = np.frombuffer(parts[name], dtype).reshape(shape)
    if not arrays["counts"].all():
        raise Refusal("it has a class without examples")
    classes = len(set(parts["owners"]))
    if classes < 2 or max(parts["owners"]) >= classes:
        raise Refusal(f"its {k} rows do not belong to its classes: {list(parts['owners'])}")
    return Head(n, k, zero_point, mult, shift, _labels(parts["labels"], classes), **arrays)


def _labels(raw: bytes, k: int) -> list[int | str]:
    labels, at = [], 0
    for _ in range(k):
        if at + LABEL.size > len(raw):
            raise Refusal(f"its labels are cut short: {len(labels)} of {k}")
        kind, size = LABEL.unpack_from(raw, at)
        at += LABEL.size
        if kind > 1 or size > LONGEST_LABEL or at + size > len(raw):
            raise Refusal(f"label {len(labels)} is damaged")
        try:
            text = raw[at : at + size].decode()
            labels.append(text if kind else int(text))
        except ValueError:
            raise Refusal(f"label {len(labels)} is neither a whole number nor UTF-8") from None
        if str(labels[-1]) != text:
            raise Refusal(f"label {len(labels) - 1} is not written as numbers are: {text!r}")
        at += size
    if at != len(raw):
        raise Refusal("there is something behind its labels")
    if len({str(label) for label in labels}) < k:
        raise Refusal("two of its labels are the same")
    return labels


# ---- Whether it fits a model -----------------------------------------------------------------------------------------


def _check(delta: Delta, model: tlm.Model) -> None:
    if delta.model != model.sha256:
        raise Refusal(
            f"it belongs to another model: {delta.model.hex()[:16]}..., and this one is {model.sha256.hex()[:16]}..."
        )
    features, head = model.tensors[model.features], delta.head
    if head and (head.n, head.zero_point) != (features.bytes, features.zero_point):
        raise Refusal(
            f"its head reads {head.n} features with zero point {head.zero_point}, the model has {features.bytes} with "
            f"{features.zero_point}"
        )
    for change in delta.changes:
        _check_change(change, model)
    for held in delta.held:
        _check_held(held, model)
    if delta.memory and delta.memory.first >= model.head:
        raise Refusal(f"its samples of earlier tasks are read by operator {delta.memory.first}, which is not trained")


def _check_held(held: Held, model: tlm.Model) -> None:
    maps = [op.y for op in model.ops if op.name in (ir.CONV2D, ir.DEPTHWISE_CONV2D)]
    channels = model.tensors[held.tensor].shape[3] if held.tensor in maps else 0
    if channels == 0 or len(held.bits) != -(-channels // 8):
        raise Refusal(f"it holds channels of tensor {held.tensor}, which is no feature map of so many")
    if held.channels and held.channels[-1] >= channels:
        raise Refusal(f"it holds channels of tensor {held.tensor} that are not there")


def _check_change(change: Change, model: tlm.Model) -> None:
    users = [op for op in model.ops if change.tensor in (op.w, op.b) and change.tensor != tlm.NOBODY]
    if not users:
        raise Refusal(f"it changes tensor {change.tensor}, which is neither weights nor biases of the model")
    record, size = model.tensors[change.tensor], len(change.data)
    width = 4 if record.type == tlm.INT32 else 1
    if size == 0 or size % width or change.offset % width or change.offset + size > record.bytes:
        raise Refusal(f"it changes bytes {change.offset} .. {change.offset + size} of tensor {change.tensor}")
    if record.type == tlm.INT32:
        products = max(model.tensors[op.w].bytes // (record.bytes // 4) for op in users)
        most = 2**31 - 1 - 255 * 128 * products
        if np.abs(np.frombuffer(change.data, "<i4").astype(np.int64)).max() > most:
            raise Refusal(f"a bias of tensor {change.tensor} is beyond {most}, so that a sum may overflow")


# ---- For people ------------------------------------------------------------------------------------------------------


def summary(delta: Delta) -> dict:
    """What reports say of it, as plain values."""
    head = delta.head
    return {
        "bytes": len(delta.raw),
        "save": delta.sequence,
        "model_sha256": delta.model.hex(),
        "classes": [
            {"label": label, "examples": int(head.counts[head.owners == i].sum())}
            for i, label in enumerate(head.labels)
        ]
        if head
        else None,
        "features": head.n if head else None,
        "metric": ("euclidean" if head.mult else "cosine") if head else None,
        "changed_tensors": sorted({change.tensor for change in delta.changes}),
        "changed_bytes": sum(len(change.data) for change in delta.changes),
        "held_channels": {held.tensor: len(held.channels) for held in delta.held},
        "kept_samples": len(delta.memory.rows) if delta.memory else 0,
    }


def describe(delta: Delta) -> str:
    """The same in one line."""
    facts = summary(delta)
    classes = facts["classes"]
    what = f"{len(classes)} classes ({', '.join(str(c['label']) for c in classes)})" if classes else "no new classes"
    if facts["changed_tensors"]:
        what += f", {facts['changed_bytes']} bytes of {len(facts['changed_tensors'])} changed tensors"
    if facts["held_channels"]:
        what += f", holds {sum(facts['held_channels'].values())} channels of {len(facts['held_channels'])} maps"
    if facts["kept_samples"]:
        what += f", keeps {facts['kept_samples']} samples of earlier tasks"
    return f"{what}; {facts['bytes']} bytes, save number {facts['save']}"
