"""Verifies a .tlm as the board does (native_modules/kernels/program.c: tl_check), but says in a sentence what is wrong.

Both accept the same files; tests/host/test_tlm_garbage.py holds them to it.
"""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np

from tinylearn_host import front, ir, tlm, training_sections, variants
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.tlm import HEADER, IN_ARENA, IN_FILE, INT8, INT32, NOBODY, OPERATOR, RAW, SECTION, TENSOR, Refusal

LARGEST = 2**31 - 1
RECORDS = {b"TENS": TENSOR.size, b"OPS ": OPERATOR.size}
ELEMENTWISE = {ir.ADD, ir.CLAMP, ir.RESHAPE}
SHIFTS = range(-31, 31)
MOST_CLASSES = 4095  # a softmax over more may overflow
MOST_PIXELS = (1 << 23) - 1  # a mean over more may overflow its int32 sum


def parse(raw: bytes, name: str) -> tlm.Model:
    """The model in `raw`. Raises TinylearnError (11); `name` is what the sentence calls the file."""
    try:
        return _parse(raw)
    except Refusal as refusal:
        raise TinylearnError(f"{name}: {refusal}", BAD_MODEL) from None


def _parse(raw: bytes) -> tlm.Model:
    raw = _whole(raw)
    *_, arena, in_, out, features, head, count, _ = HEADER.unpack_from(raw)
    sections = _sections(raw, count)
    tensors = [tlm.TensorRecord.unpack(record) for record in _records(raw, sections[b"TENS"], TENSOR.size)]
    ops = [tlm.OperatorRecord.unpack(record) for record in _records(raw, sections[b"OPS "], OPERATOR.size)]
    model = tlm.Model(raw, arena, in_, out, features, head, tensors, ops)
    check = _Check(model, sections[b"DATA"])
    for index in range(len(tensors)):
        check.tensor(index)
    for index in range(len(ops)):
        check.operator(index)
    check.header()
    model.meta = _meta(raw, sections.get(b"META"))
    training_sections.parse(model, sections)
    model.front = _front(model, sections.get(front.TAG))
    return model


# ---- Header and sections --------------------------------------------------------------------------------------------


def _whole(raw: bytes) -> bytes:
    """The file, without what may follow it; its magic, version, length and checksum are right."""
    if len(raw) < HEADER.size:
        raise Refusal(f"{len(raw)} bytes long, too short for a .tlm, whose header alone has {HEADER.size}")
    magic, major, _, length, crc, *_ = HEADER.unpack_from(raw)
    if magic != tlm.MAGIC:
        raise Refusal(f"not a .tlm model: it starts with {magic!r}, {tlm.MAGIC!r} was expected")
    if major != tlm.MAJOR:
        raise Refusal(
            f"version {major} of the format; this tinylearn reads version {tlm.MAJOR}. Convert the model again"
        )
    if length > len(raw):
        raise Refusal(f"cut short: {len(raw)} bytes, the header says {length}. Convert or copy it again")
    if length < HEADER.size:
        raise Refusal(f"the header says that the file has {length} bytes, less than the header itself")
    found = zlib.crc32(raw[16:length])
    if crc != found:
        raise Refusal(f"damaged: its checksum is {found:08x}, the header says {crc:08x}. Convert or copy it again")
    return raw[:length]


def _sections(raw: bytes, count: int) -> dict[bytes, tuple[int, int, int]]:
    """tag -> (offset, length, records); the first of a tag counts."""
    length, tables = len(raw), HEADER.size + count * SECTION.size
    if length > LARGEST or length < tables:
        raise Refusal(f"its {count} sections do not fit its {length} bytes")
    sections: dict[bytes, tuple[int, int, int]] = {}
    for index in range(count):
        tag, offset, size, records = SECTION.unpack_from(raw, HEADER.size + index * SECTION.size)
        label = f"section {index} ({tag.decode('ascii', 'replace').strip()})"
        if offset % 8 or offset < tables or offset > length or size > length - offset:
            raise Refusal(f"{label}: {size} bytes at {offset} are misaligned or outside the file of {length}")
        if tag in RECORDS and tag not in sections and (records > tlm.MAX_RECORDS or size != records * RECORDS[tag]):
            raise Refusal(f"{label}: {records} records do not make {size} bytes, or are more than {tlm.MAX_RECORDS}")
        sections.setdefault(tag, (offset, size, records))
    for tag in (b"TENS", b"OPS ", b"DATA"):
        if tag not in sections:
            raise Refusal(f"the section {tag.decode().strip()} is missing")
    return sections


def _records(raw: bytes, section: tuple[int, int, int], size: int) -> list[bytes]:
    offset, length, _ = section
    return [raw[at : at + size] for at in range(offset, offset + length, size)]


def _meta(raw: bytes, section: tuple[int, int, int] | None) -> dict:
    """The board never reads META, so neither is a file refused for it; what is not as promised is left out."""
    if section is None:
        return {}
    try:
        meta = json.loads(raw[section[0] : section[0] + section[1]])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(meta, dict):
        return {}
    labels = meta.get("labels")
    if labels is not None and not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        meta.pop("labels")
    return meta


def _front(model: tlm.Model, section: tuple[int, int, int] | None) -> front.Section | None:
    if section is None:
        return None
    found = front.parse(raw := model.raw[section[0] : section[0] + section[1]])
    if found is None:
        raise Refusal(f"section FRNT: {len(raw)} bytes that are no front end. Convert the model again")
    pixels, wanted = found.frames * found.bins, model.tensors[model.input].bytes
    if pixels != wanted:
        raise Refusal(f"section FRNT: it makes {pixels} values and the model takes {wanted}. Convert the model again")
    return found


# ---- Tensors and operators ------------------------------------------------------------------------------------------


class _Check:
    def __init__(self, model: tlm.Model, data: tuple[int, int, int]):
        self.model, self.tensors = model, model.tensors
        self.data = (data[0], data[0] + data[1])
        self.where = ""

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Refusal(f"{self.where}: {what}")

    def in_data(self, offset: int, size: int) -> bool:
        begin, end = self.data
        return offset % 4 == 0 and begin <= offset <= end and size <= end - offset

    def header(self) -> None:
        model, self.where = self.model, "the header"
        for what in ("input", "output", "features"):
            index = getattr(model, what)
            self.require(index < len(self.tensors), f"its {what} is tensor {index} of {len(self.tensors)}")
            t = self.tensors[index]
            self.require(
                t.type == INT8 and t.region == IN_ARENA and _positive(t.scale), f"its {what} is not an int8 activation"
            )
        self.require(model.head <= len(model.ops), f"its head is operator {model.head} of {len(model.ops)}")

    def tensor(self, index: int) -> None:
        t, self.where = self.tensors[index], f"tensor {index}"
        self.require(t.type in (INT8, INT32, RAW), f"type {t.type} is unknown")
        self.require(t.region in (IN_FILE, IN_ARENA), f"region {t.region} is unknown")
        if t.type != RAW:
            elements = int(np.prod(t.shape, dtype=np.uint64))
            size = elements * (4 if t.type == INT32 else 1)
            self.require(0 < elements <= LARGEST and size == t.bytes, f"shape {t.shape} does not make {t.bytes} bytes")
        if t.region == IN_FILE:
            self.require(self.in_data(t.place, t.bytes), f"{t.bytes} bytes at {t.place} are outside DATA or misaligned")
        else:
            fits = t.place % 4 == 0 and t.place + t.bytes <= self.model.arena
            self.require(
                fits, f"{t.bytes} bytes at {t.place} are misaligned or outside the arena of {self.model.arena}"
            )

    def operand(self, what: str, index: int, kind: int, region: int | None) -> tlm.TensorRecord | None:
        if index == NOBODY:
            return None
        self.require(index < len(self.tensors), f"its {what} is tensor {index} of {len(self.tensors)}")
        t = self.tensors[index]
        fits = t.type == kind and region in (None, t.region)
        self.require(fits, f"its {what}, tensor {index}, has the wrong type or lies in the wrong place")
        return t

    def operator(self, index: int) -> None:
        op = self.model.ops[index]
        self.where = f"operator {index} ({op.name})"
        self.require(op.code in tlm.CODE_NAMES, "the code is unknown")
        known = variants.COUNT if op.name in ir.WEIGHTED else 1
        self.require(op.variant < known, f"variant {op.variant} is unknown")
        self.x = self.operand("input", op.x, INT8, None)
        self.x2 = self.operand("second input", op.x2, INT8, None)
        self.w = self.operand("weights", op.w, INT8, IN_FILE)
        self.b = self.operand("bias", op.b, INT32, IN_FILE)
        self.y = self.operand("output", op.y, INT8, IN_ARENA)
        self.s = self.operand("scratch", op.s, RAW, IN_ARENA)
        self.require(self.x is not None and self.y is not None, "it has no input or no output")
        self.operands(op)
        GEOMETRY[op.name](self, op)
        if op.name in ir.WEIGHTED:
            self.values(op)
        self.disjoint(op)

    def operands(self, op: tlm.OperatorRecord) -> None:
        """Exactly the buffers that the code asks for; the bias is optional."""
        weighted, name = op.name in ir.WEIGHTED, op.name
        self.require(
            (self.w is not None) == weighted,
            "its weights are missing, or it has some and may not",
        )
        self.require((op.requant != 0) == weighted, "its requantisation is missing, or it has one and may not")
        self.require(
            (self.x2 is not None) == (name == ir.ADD), "its second input is missing, or it has one and may not"
        )
        self.require(self.b is None or weighted, "it has a bias and may not")
        scratch_allowed = op.variant != variants.PLAIN or self.s is None or self.s.bytes == 0
        self.require(scratch_allowed, "it has scratch and may not")

    def clamp(self, op: tlm.OperatorRecord) -> None:
        self.require(op.clamp[0] <= op.clamp[1], f"its clamp is {op.clamp[0]} to {op.clamp[1]}")

    def same_bytes(self, *tensors: tlm.TensorRecord) -> None:
        self.require(len({t.bytes for t in tensors}) == 1, "its inputs and output must have the same number of bytes")

    # ---- geometry by code

    def window(self, op: tlm.OperatorRecord) -> None:
        self.clamp(op)
        (_, *x), (_, *y) = self.x.shape, self.y.shape
        for t in (self.x, self.y):
            self.require(t.shape[0] == 1, f"shape {t.shape} has a batch")
        for axis in range(2):
            k, stride, dilation, pad = (pair[axis] for pair in (op.kernel, op.stride, op.dilation, op.padding))
            self.require(min(k, stride, dilation) > 0, "kernel, stride and dilation must be at least 1")
            touches = pad <= (k - 1) * dilation and (y[axis] - 1) * stride - pad < x[axis]
            self.require(touches, "its window, padding and shapes do not fit together")
        if op.name == ir.CONV2D:
            self.require(self.w.shape == (y[2], *op.kernel, x[2]), f"its weights have shape {self.w.shape}")
        elif op.name == ir.DEPTHWISE_CONV2D:
            self.require(
                self.w.shape == (1, *op.kernel, y[2]) and y[2] % x[2] == 0, f"its weights have shape {self.w.shape}"
            )
        else:
            self.require(y[2] == x[2] and op.dilation == (1, 1), "a pool keeps its channels and is not dilated")

    def dense(self, op: tlm.OperatorRecord) -> None:
        self.clamp(op)
        n_out, _, _, n_in = self.w.shape
        self.require(self.w.shape == (n_out, 1, 1, n_in), f"its weights have shape {self.w.shape}")
        panel = variants.dense_panel_bytes(n_out, n_in) if op.q[0] and op.q[1] else 0
        self.require(
            op.q[0] == 0 or self.in_data(op.q[0] & 0xFFFFFFFF, 4 * n_out + panel),
            "what its sums begin with is outside DATA or misaligned",
        )
        fits = self.x.bytes == n_in and self.y.shape == (1, 1, 1, n_out)
        self.require(fits, f"its weights have shape {self.w.shape}, unlike its input and output")

    def add(self, op: tlm.OperatorRecord) -> None:
        self.clamp(op)
        self.same_bytes(self.x, self.x2, self.y)
        self.require(op.q[0] == 20, f"its left shift is {op.q[0]}, and not 20")
        for at in (1, 3, 5):
            self.multiplier(op.q[at], op.q[at + 1])
            self.require(op.q[at + 1] <= 0, f"its shift is {op.q[at + 1]}, above 0")

    def multiplier(self, multiplier: int, shift: int) -> None:
        fits = multiplier >= 0 and shift in SHIFTS
        self.require(fits, f"its multiplier {multiplier} or shift {shift} is out of range")

    def reshape(self, op: tlm.OperatorRecord) -> None:
        self.same_bytes(self.x, self.y)

    def mean(self, op: tlm.OperatorRecord) -> None:
        (_, h, w, c), pixels = self.x.shape, self.x.shape[1] * self.x.shape[2]
        self.require(self.y.bytes == c and self.x.bytes == h * w * c, "its output has not one value per channel")
        self.require(pixels <= MOST_PIXELS, f"the mean over {pixels} values may overflow")
        self.multiplier(*op.q[:2])

    def pad(self, op: tlm.OperatorRecord) -> None:
        value, *before = op.q[:4]
        self.require(-128 <= value <= 127, f"its value {value} is no int8")
        for x, y, amount in zip(self.x.shape[1:], self.y.shape[1:], before, strict=True):
            self.require(amount >= 0 and amount + x <= y, "its output cannot hold its input there")
        for t in (self.x, self.y):
            self.require(t.shape[0] == 1, f"shape {t.shape} has a batch")

    def rectify(self, op: tlm.OperatorRecord) -> None:
        self.clamp(op)
        self.same_bytes(self.x, self.y)
        self.multiplier(*op.q[:2])

    def softmax(self, op: tlm.OperatorRecord) -> None:
        self.same_bytes(self.x, self.y)
        self.require(self.x.shape[0] == 1, f"shape {self.x.shape} has a batch")
        self.require(
            op.q[0] >= 0 and 0 <= op.q[1] <= 31, f"its multiplier {op.q[0]} or shift {op.q[1]} is out of range"
        )
        self.require(self.x.shape[3] <= MOST_CLASSES, f"a softmax over {self.x.shape[3]} values may overflow")

    # ---- what the numbers may be

    def values(self, op: tlm.OperatorRecord) -> None:
        channels = self.model.channels(op)
        products = self.w.bytes // channels
        self.require(products <= tlm.MAX_PRODUCTS, f"one output sums {products} products, beyond an int32")
        self.require(self.b is None or self.b.bytes == 4 * channels, "its bias has not one number per output channel")
        self.requantisation(op, channels)
        self.scales(self.w, channels)
        if self.b is not None:
            bias = np.frombuffer(self.model.raw, "<i4", channels, self.b.place).astype(np.int64)
            most = LARGEST - products * 255 * 128
            self.require(int(np.abs(bias).max()) <= most, f"a bias is beyond {most}: the sum may overflow")

    def requantisation(self, op: tlm.OperatorRecord, channels: int) -> None:
        size = tlm.requant_size(op.name) * channels
        self.require(self.in_data(op.requant, size), "its requantisation is outside DATA or misaligned")
        if op.name == ir.FULLY_CONNECTED:
            scales = np.frombuffer(self.model.raw, "<f8", channels, op.requant)
            sound = (scales >= tlm.DENSE_SCALES[0]) & (scales < tlm.DENSE_SCALES[1])
        else:
            multipliers = np.frombuffer(self.model.raw, "<i4", channels, op.requant)
            shifts = np.frombuffer(self.model.raw, "<i1", channels, op.requant + 4 * channels)
            sound = (multipliers >= 0) & (shifts >= SHIFTS[0]) & (shifts <= SHIFTS[-1])
        self.require(bool(sound.all()), "its requantisation is out of range")

    def scales(self, t: tlm.TensorRecord, channels: int) -> None:
        if t.scales == 0:
            self.require(_positive(t.scale), f"the scale of its weights is {t.scale}")
            return
        self.require(self.in_data(t.scales, 4 * channels), "the scales of its weights are outside DATA or misaligned")
        scales = np.frombuffer(self.model.raw, "<f4", channels, t.scales)
        self.require(all(_positive(scale) for scale in scales), "a scale of its weights is not a positive number")

    def disjoint(self, op: tlm.OperatorRecord) -> None:
        """y may lie exactly where an input of an element-by-element operator lies; else it overlaps nothing."""
        for t in (self.x, self.x2):
            if t is None or t.region != IN_ARENA or (t.place == self.y.place and op.name in ELEMENTWISE):
                continue
            self.require(_apart(t, self.y), "its output overlaps its input in the arena")
        if self.s is not None:
            for t in (self.x, self.x2, self.y):
                apart = t is None or t.region != IN_ARENA or _apart(t, self.s)
                self.require(apart, "its scratch overlaps its input or output in the arena")


GEOMETRY = {
    ir.CONV2D: _Check.window,
    ir.DEPTHWISE_CONV2D: _Check.window,
    ir.AVG_POOL: _Check.window,
    ir.MAX_POOL: _Check.window,
    ir.FULLY_CONNECTED: _Check.dense,
    ir.ADD: _Check.add,
    ir.RESHAPE: _Check.reshape,
    ir.MEAN: _Check.mean,
    ir.PAD: _Check.pad,
    ir.CLAMP: _Check.rectify,
    ir.SOFTMAX: _Check.softmax,
}


def _apart(a: tlm.TensorRecord, b: tlm.TensorRecord) -> bool:
    """Whether two tensors in the arena share no byte; an empty one shares none."""
    return not (a.bytes and b.bytes) or a.place + a.bytes <= b.place or b.place + b.bytes <= a.place


def _positive(scale: float) -> bool:
    """A normal float32 above zero."""
    bits = struct.unpack("<I", struct.pack("<f", scale))[0]
    return 0x00800000 <= bits < 0x7F800000
