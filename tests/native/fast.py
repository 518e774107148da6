# Runs on the board: fast variants of operators, from a file that test_fast_kernels.py wrote, in scratch of their size.
# Every buffer that is written lies between guards.
import struct

import tl_infer

GUARD = b"\x55\xaa" * 8


def padded(n):
    return (n + 3) // 4 * 4


def guarded(n):
    whole = bytearray(len(GUARD) + padded(n) + len(GUARD))
    whole[: len(GUARD)] = whole[-len(GUARD) :] = GUARD
    return whole, memoryview(whole)[len(GUARD) : len(GUARD) + n]


def replay(record):
    """0, op's status, -1 where the answer differs, -2 where a guard was overwritten."""
    *lengths, scratch_bytes = struct.unpack("<8I", record[:32])
    view, at, spans = memoryview(record), 32, []
    for n in lengths:
        spans.append(view[at : at + n] if n else None)
        at += padded(n)
    expected = spans.pop()
    (one, y), (two, scratch) = guarded(len(expected)), guarded(scratch_bytes)
    status = tl_infer.op(*spans, y, scratch if scratch_bytes else None)
    if status:
        return status
    for whole in (one, two):
        if whole[: len(GUARD)] != GUARD or whole[-len(GUARD) :] != GUARD:
            return -2
    return -(bytes(y) != bytes(expected))


def run(path):
    """(records replayed, list of (number of the record, what replay says) that went wrong)."""
    wrong = []
    count = 0
    with open(path, "rb") as file:
        while True:
            length = file.read(4)
            if not length:
                return count, wrong
            record = bytearray(struct.unpack("<I", length)[0])
            file.readinto(record)
            result = replay(record)
            if result:
                wrong.append((count, result))
            count += 1
