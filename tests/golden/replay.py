# Replays golden vectors (README.md beside this file) through tl_infer.op, on MicroPython and on CPython.
# Put it and forward.bin on the board, then: import replay; print(replay.run("forward.bin"))

import struct

import tl_infer


def padded(n):
    return (n + 3) // 4 * 4


def replay(record):
    """0 where op gives the record's own answer, its status where it refuses, -1 where the answer differs."""
    view, at, spans = memoryview(record), 28, []
    for n in struct.unpack("<7I", record[:28]):
        spans.append(view[at : at + n] if n else None)
        at += padded(n)
    expected = spans.pop()
    y = bytearray(len(expected))
    status = tl_infer.op(*spans, y, None)
    return status or -(bytes(y) != bytes(expected))


def records(path, magic):
    """Each record of a file of golden vectors, all in the memory of the longest."""
    with open(path, "rb") as file:
        found, version, count, longest = struct.unpack("<4s3I", file.read(16))
        if found != magic or version != 1:
            raise ValueError("no golden vectors of version 1")
        whole = bytearray(longest)
        for _ in range(count):
            length = struct.unpack("<I", file.read(4))[0]
            record = memoryview(whole)[:length]
            file.readinto(record)
            yield record


def run(path, magic=b"TLGV", replay=replay, kind_at=28):
    """(vectors replayed, list of (number of the vector, operator code, what replay says) that went wrong)."""
    count, wrong = 0, []
    for record in records(path, magic):
        result = replay(record)
        if result:
            wrong.append((count, struct.unpack("<i", record[kind_at : kind_at + 4])[0], result))
        count += 1
    return count, wrong
