"""Task after task with some samples of earlier ones beside the new: latent replay (Pellegrini, arXiv 1912.01100).

No sample is kept as it came, but what the frozen operators make of it, int8, where training begins. A memory is
(operator, data): training begins with that operator; data is the bytes of a record as an uint32, then of each sample an
uint8, its row in the head, and its record. It lies in RAM, and in the .tld.
"""

from struct import pack_into, unpack_from

from .model import allocate

BYTES = 8192
_SAMPLES = 4  # where they begin


def options(asked):
    """The bytes that are kept at most, of adapt's `hold`; ValueError says what is wrong with it."""
    if asked is not None and (not isinstance(asked, dict) or set(asked) != {"bytes"}):
        raise ValueError("hold of 'replay' is a dict of 'bytes', not %r" % (asked,))
    most = asked["bytes"] if asked else BYTES
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= 1 << 24:
        raise ValueError("hold: bytes is a whole number from 1, not %r" % (most,))
    return most


def room(record, most, count):
    """Bytes of a memory that has `count` samples to choose from, and `most` bytes for records."""
    return _SAMPLES + min(most // (record + 1), count) * (record + 1)


def samples(memory):
    """(row, record) of each sample of a memory; none of None."""
    if not memory:
        return []
    data, size = memoryview(memory[1]), unpack_from("<I", memory[1])[0] + 1
    return [(data[at], data[at + 1 : at + size]) for at in range(_SAMPLES, len(data), size)]


def packed(first, record, kept, data=None):
    """A memory of `kept`, (row, what gives its record). data: a buffer of its size, or None"""
    data = data or allocate(_SAMPLES + len(kept) * (record + 1), "samples of earlier tasks")
    pack_into("<I", data, 0, record)
    at, view = _SAMPLES, memoryview(data)
    for row, get in kept:
        data[at] = row
        view[at + 1 : at + 1 + record] = get()
        at += 1 + record
    return first, data


def memory_after(training):
    """What is kept after a task in the layout's bytes, of the samples before and its own; or None."""
    layout, support = training.layout, training.support
    found = [(row, lambda record=record: record) for row, record in samples(training.model.memory)]
    for i in range(support.count):
        found.append((training.rows[i], lambda i=i: support.record(i)))
    order = shared_out([row for row, _ in found])[: (layout.keep - _SAMPLES) // (layout.record + 1)]
    if not order:
        return None
    return packed(layout.first, layout.record, [found[i] for i in order], layout.memory)


def shared_out(rows):
    """The order in which samples are kept: the first that came of each row, then the second of each ..."""
    seen, keys = {}, []
    for i, row in enumerate(rows):
        first, count = seen.get(row, (i, 0))
        seen[row] = first, count + 1
        keys.append((count, first, i))
    return [i for _, _, i in sorted(keys)]


def without(memory, rows):
    """A memory of those samples whose row is one of `rows`, as it will be numbered then: by its place there."""
    kept = [(rows.index(row), lambda record=record: record) for row, record in samples(memory) if row in rows]
    return packed(memory[0], unpack_from("<I", memory[1])[0], kept) if kept else None
