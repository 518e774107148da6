"""What was learned is kept: .tld files (docs/SPEC.md) in two slots. Loaded at the first save, or if load finds one.

A save goes to the slot that is worth least, from front to back, its checksum last. Until that is written the other slot
counts, so the power may go at any byte. Buffers go to the flash and come from it as they are, without a copy.
"""

import io
import os
from array import array
from struct import pack, unpack, unpack_from

import tl_infer

from .head import Head
from .model import allocate, slots

_MAGIC, _MAJOR = b"TLDL", 1
_HEADER, _RECORD = "<4sHHII32sHH", "<HHII"
_HEADER_BYTES, _RECORD_BYTES = 52, 12
_HEAD, _LABELS, _ROWS, _BIASES, _SUMS, _COUNTS, _OWNERS = 1, 2, 3, 4, 5, 6, 7
_TENSOR, _HELD, _MEMORY = 16, 17, 18
_LINEAR = 1  # the sort of head
_LONGEST = 255  # bytes of a label
_LAST_CONVOLUTION = 2  # code of an operator
_NOBODY = 65535  # in an operator's record: no tensor
_READ_ONLY = (30, 13, 1)  # EROFS, EACCES, EPERM

NOTHING, OTHERS, OWN = 0, 1, 2  # what a slot is worth


_OTHERS = "another model has learned this"


class Refused(ValueError):
    """Why a delta is not loaded."""


# ---- Slots -----------------------------------------------------------------------------------------------------------


class _File:
    def __init__(self, name):
        self.name = name

    def open(self):
        """The content as a binary file; None where there is none."""
        try:
            return open(self.name, "rb")
        except OSError:
            return None

    def write(self, pieces):
        with open(self.name, "wb") as f:
            for piece in pieces:
                f.write(piece)

    def remove(self):
        os.remove(self.name)


class _Half:
    """Half of CircuitPython's microcontroller.nvm, which wants to be assigned in one go."""

    def __init__(self, nvm, half):
        self.nvm, self.size = nvm, len(nvm) // 2
        self.at = half * self.size
        self.name = "microcontroller.nvm, half %d" % half

    def open(self):
        size = unpack("<I", bytes(self.nvm[self.at + 8 : self.at + 12]))[0]
        return io.BytesIO(bytes(self.nvm[self.at : self.at + min(max(size, 12), self.size)]))

    def write(self, pieces):
        there = bytes(self.nvm[self.at : self.at + 4])
        for i in range(4):  # blank, ours, or ours in part
            if there[i] not in (0, 255, _MAGIC[i]):
                raise OSError(30, "microcontroller.nvm holds something else; to make room: %s" % _CLEAR)
        data = b"".join(bytes(piece) for piece in pieces)
        if len(data) > self.size:
            raise OSError(28, _TOO_SMALL % (len(data), self.size))
        self.nvm[self.at : self.at + len(data)] = data

    def remove(self):
        self.nvm[self.at : self.at + 4] = bytes(4)


_CLEAR = "microcontroller.nvm[:] = bytes(len(microcontroller.nvm))"
_REMOUNT = "let code write to it: in boot.py, import storage; storage.remount('/', readonly=False)"
_TOO_SMALL = (
    "the file system is read-only to code, and what was learned, %d bytes, does not fit half of microcontroller.nvm, "
    "%d bytes: teach fewer classes, or " + _REMOUNT
)


def _files(model):
    if model.path is None:
        raise ValueError("this model was not loaded from a file, so there is no place to keep what it learned")
    return [_File(name) for name in slots(model.path, model.mapped)]


def _halves():
    try:
        from microcontroller import nvm
    except ImportError:
        nvm = None
    return [_Half(nvm, 0), _Half(nvm, 1)] if nvm else []


class _Found:
    """A slot and what lies in it. refusal: why it is worth nothing, or not this model's; None where it is empty."""

    def __init__(self, model, slot):
        self.slot, self.worth, self.sequence, self.refusal = slot, NOTHING, 0, None
        f = slot.open()
        if f is None:
            return
        with f:
            try:
                self.sequence, identity, _, _ = _intact(f)
            except Refused as e:
                self.refusal = None if isinstance(e, _Blank) else str(e)
                return
        self.worth = OWN if identity == bytes(model.file[16:48]) else OTHERS
        if self.worth == OTHERS:
            self.refusal = _OTHERS + "; what this one learns will take its place"

    def key(self):
        return self.worth, self.sequence


def _survey(model, places):
    return [_Found(model, slot) for slot in places]


def _all(model):
    """What lies in all slots, what counts most first."""
    return sorted(_survey(model, _files(model) + _halves()), key=_Found.key, reverse=True)


# ---- Reading ---------------------------------------------------------------------------------------------------------


class _Blank(Refused):
    pass


def _intact(f):
    """(sequence number, SHA-256 of the model, records, length) of a delta that is whole."""
    header = f.read(_HEADER_BYTES)
    if not header or header[:4] in (bytes(4), b"\xff\xff\xff\xff"):
        raise _Blank("it is empty")
    if header[:4] != _MAGIC:
        raise Refused("it is not a .tld file")
    if len(header) < _HEADER_BYTES:
        raise Refused("it is cut short")
    _, major, _, length, sequence, identity, records, _ = unpack(_HEADER, header)
    if major != _MAJOR:
        raise Refused("its format is newer than this tinylearn: flash the package again")
    crc, left, buffer = tl_infer.crc32(header), length - _HEADER_BYTES - 4, memoryview(bytearray(256))
    if left < 0 or length & 3:
        raise Refused("its header is damaged")
    while left:
        n = f.readinto(buffer[: min(left, 256)])
        if not n:
            raise Refused("it is cut short")
        crc = tl_infer.crc32(buffer[:n], crc)
        left -= n
    if f.read(4) != pack("<I", crc):
        raise Refused("it is damaged, or the power went while it was saved")
    return sequence, identity, records, length


def _records(f, count, length):
    """(kind, tensor, offset, bytes, where its content lies) of each record; the file stands at the content."""
    at, end = _HEADER_BYTES, length - 4
    for _ in range(count):
        f.seek(at)
        at += _RECORD_BYTES
        if at > end:
            raise Refused("its records do not fit its length")
        kind, tensor, offset, size = unpack(_RECORD, f.read(_RECORD_BYTES))
        if size > end - at:
            raise Refused("its records do not fit its length")
        yield kind, tensor, offset, size, at
        at += size + (-size & 3)
    if at != end:
        raise Refused("its records do not fit its length")


def check(model, f):
    """(head or None, [(tensor, offset, bytes, where)], held, memory) of a delta, which fits the model in every respect.

    f: binary file. Refused says what is wrong. Changes nothing.
    """
    _, identity, count, length = _intact(f)
    if identity != bytes(model.file[16:48]):
        raise Refused(_OTHERS)
    parts, tensors, held, memory = {}, [], {}, None
    for kind, tensor, offset, size, at in _records(f, count, length):
        if kind == _TENSOR:
            _check_tensor(model, f, tensor, offset, size)
            tensors.append((tensor, offset, size, at))
        elif kind == _HELD:
            if tensor in held:
                raise Refused("it has two records of what is held of tensor %d" % tensor)
            held[tensor] = _held(model, f, tensor, offset, size)
        elif kind == _MEMORY:
            if memory:
                raise Refused("it has two records of samples of earlier tasks")
            memory = _memory(model, f, tensor, offset, size)
        elif not _HEAD <= kind <= _OWNERS:
            raise Refused("it has records of kind %d, from a newer tinylearn: flash the package again" % kind)
        elif kind in parts:
            raise Refused("it has two records of kind %d" % kind)
        else:
            parts[kind] = allocate(size, "what was learned")
            f.readinto(parts[kind])
    head = _head(model, parts) if parts else None
    if memory and not (head and _most_kept(memory[1]) < head.params[1]):
        raise Refused("its samples of earlier tasks are of rows that its head has not")
    return head, tensors, held, memory


def _head(model, parts):
    if not all(kind in parts for kind in range(_HEAD, _COUNTS + 1)) or len(parts[_HEAD]) != 24:
        raise Refused("its head is not whole")
    sort, n, k, zero, mult, shift = unpack("<6i", parts[_HEAD])
    if sort != _LINEAR:
        raise Refused("its head is of a newer tinylearn: flash the package again")
    if n != len(model.f) or zero != model.f_zero or not (2 <= k <= 256 and 0 <= mult <= 65535 and 0 <= shift <= 62):
        raise Refused("its head does not fit the model")
    for kind, size in ((_ROWS, 2 * n * k), (_BIASES, 4 * k), (_SUMS, 4 * n * k), (_COUNTS, 4 * k)):
        if len(parts[kind]) != size:
            raise Refused("its head does not fit the model")
    counts = array("i", parts[_COUNTS])
    if not all(counts):
        raise Refused("it has a class without examples")
    owners = parts[_OWNERS] if _OWNERS in parts else bytearray(range(k))
    classes = len(set(owners))
    if len(owners) != k or classes < 2 or max(owners) >= classes:
        raise Refused("its rows do not belong to its classes")
    labels, params = _labels(parts[_LABELS], classes), array("i", (n, k, zero, mult, shift))
    return Head(params, labels, parts[_ROWS], parts[_BIASES], parts[_SUMS], counts, owners)


def _labels(raw, k):
    labels, texts, at = [], set(), 0
    try:
        for _ in range(k):
            kind, size = unpack_from("<HH", raw, at)
            at += 4 + size
            text = str(bytes(raw[at - size : at]), "utf-8")
            label = text if kind else int(text)
            if kind > 1 or size > _LONGEST or at > len(raw) or str(label) != text or text in texts:
                raise ValueError
            labels.append(label)
            texts.add(text)
    except Exception:  # MicroPython and CPython raise different ones
        at = -1
    if at != len(raw):
        raise Refused("its labels are damaged, or not distinct")
    return labels


def _check_tensor(model, f, tensor, offset, size):
    """A part of the weights or biases of an operator, with biases that no sum overflows with."""
    kind = most = None
    for i in range(model.operators):
        w, b = model.operator(i, "<HH", 18)
        if tensor in (w, b) and tensor != _NOBODY:
            kind, room = 4 if tensor == b else 1, model.nbytes(tensor)
            if tensor == b:
                products = model.nbytes(w) // (room // 4)
                most = min(most or 0x7FFFFFFF, 0x7FFFFFFF - 255 * 128 * products)
    if kind is None or size == 0 or offset % kind or size % kind or offset > room or size > room - offset:
        raise Refused("it changes tensor %d where the model has no weights or biases" % tensor)
    if kind == 4:
        values = array("i", f.read(size))
        if max(values) > most or min(values) < -most:
            raise Refused("a bias of tensor %d is too large" % tensor)


def _held(model, f, tensor, offset, size):
    """The channels of a feature map that are held, a bit for each."""
    channels = 0
    for i in range(model.operators):
        if model.operator(i, "<H", 16)[0] == tensor and model.operator(i, "B", 0)[0] <= _LAST_CONVOLUTION:
            channels = model.shape(tensor)[3]
    if channels == 0 or offset or size != (channels + 7) >> 3:
        raise Refused("it holds channels of tensor %d, which is no feature map of so many" % tensor)
    bits = bytearray(f.read(size))
    if channels & 7 and bits[-1] >> (channels & 7):
        raise Refused("it holds channels of tensor %d that are not there" % tensor)
    return bits


def _memory(model, f, first, offset, size):
    """Samples of earlier tasks, see replay.py."""
    data = allocate(size, "samples of earlier tasks")
    f.readinto(data)
    record = unpack_from("<I", data)[0] if size > 4 else 0
    if not record or (size - 4) % (record + 1) or offset or first >= model.first_of_head:
        raise Refused("its samples of earlier tasks are damaged")
    return first, data


def _most_kept(data):
    """The last row that a sample is of."""
    return max([data[at] for at in range(4, len(data), unpack_from("<I", data)[0] + 1)])


# ---- What a Model does with it ---------------------------------------------------------------------------------------


def restore(model):
    """Bring back what was saved last; what cannot be trusted is left out, with a word."""
    loaded = False
    for found in _all(model):
        if found.worth == OWN and not loaded:
            model.saved = True
            try:
                _load(model, found.slot)
                loaded = True
            except Refused as e:
                found.refusal = e
        if found.refusal and not (loaded and found.worth == OTHERS):
            print("tinylearn: %s is not loaded: %s" % (found.slot.name, found.refusal))


def _load(model, slot):
    with slot.open() as f:
        head, tensors, held, memory = check(model, f)
        try:
            model.change(sorted({tensor for tensor, _, _, _ in tensors}))
            for tensor, offset, size, at in tensors:
                f.seek(at)
                f.readinto(model.tensor(tensor)[0][offset : offset + size])
        except BaseException:  # the flash or the RAM failed half way: rather the model as it came
            model.head, model.held, model.memory = None, {}, None
            model.change(())
            raise
    model.head, model.held, model.memory = head, held, memory


def save(model, head, changed, held, memory):
    """Write a head or None, the tensors in changed as they are now, which channels of maps are held, and a memory."""
    records = [] if head is None else _head_records(head)
    for tensor in changed:
        records.append((_TENSOR, tensor, model.tensor(tensor)[0]))
    for tensor in sorted(held):
        records.append((_HELD, tensor, held[tensor]))
    if memory:
        records.append((_MEMORY,) + memory)
    files, halves = _survey(model, _files(model)), _survey(model, _halves())
    sequence = 1 + max(f.sequence if f.worth == OWN else 0 for f in files + halves)
    identity = bytes(model.file[16:48])
    slot = min(files, key=_Found.key).slot
    try:
        slot.write(_pieces(records, sequence, identity))
    except OSError as e:
        if e.errno not in _READ_ONLY:
            _clear(slot)
            raise OSError(e.errno, _FAILED % (slot.name, _size(records)))
        if not halves:
            raise OSError(e.errno, "the file system is read-only, so nothing can be saved: " + _REMOUNT)
        slot = min(halves, key=_Found.key).slot
        slot.write(_pieces(records, sequence, identity))
    written = _Found(model, slot)
    if written.worth != OWN or written.sequence != sequence:
        raise OSError(5, "%s does not read back as it was written: %s" % (slot.name, written.refusal))
    model.saved = True


_FAILED = "what was learned could not be saved in %s: it takes %d bytes; is the file system full?"


def _clear(slot):
    try:
        slot.remove()
    except OSError:
        pass


def rollback(model):
    """Go back to the save before the last."""
    found = [f for f in _all(model) if f.worth == OWN]
    if not found:
        raise ValueError("nothing was saved, so there is nothing to go back to")
    if len(found) > 1:
        _load(model, found[1].slot)
    elif found[0].sequence == 1:
        model.head, model.held, model.memory = None, {}, None
        model.change(())
    else:
        raise ValueError("the save before the last is not kept any more; reset() gives the model as it came")
    found[0].slot.remove()


# ---- Writing ---------------------------------------------------------------------------------------------------------


def _head_records(head):
    labels = b""
    for label in head.labels:
        text = str(label).encode()
        if len(text) > _LONGEST:
            raise ValueError("a label of more than %d bytes cannot be saved: %r" % (_LONGEST, label))
        labels += pack("<HH", isinstance(label, str), len(text)) + text
    records = [
        (_HEAD, 0, pack("<6i", _LINEAR, *head.params)),
        (_LABELS, 0, labels),
        (_ROWS, 0, head.w),
        (_BIASES, 0, head.b),
        (_SUMS, 0, head.sums),
        (_COUNTS, 0, bytes(head.counts)),
    ]
    if len(head.labels) < len(head.owners):
        records.append((_OWNERS, 0, head.owners))
    return records


def _size(records):
    return _HEADER_BYTES + sum(_RECORD_BYTES + len(data) + (-len(data) & 3) for _, _, data in records) + 4


def _pieces(records, sequence, identity):
    """The delta's bytes in order, as buffers."""
    crc = 0
    for piece in _body(records, sequence, identity):
        crc = tl_infer.crc32(piece, crc)
        yield piece
    yield pack("<I", crc)


def _body(records, sequence, identity):
    yield pack(_HEADER, _MAGIC, _MAJOR, 0, _size(records), sequence, identity, len(records), 0)
    for kind, tensor, data in records:
        yield pack(_RECORD, kind, tensor, 0, len(data))
        if len(data):
            yield data
        if len(data) & 3:
            yield bytes(-len(data) & 3)
