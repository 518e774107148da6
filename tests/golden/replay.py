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


def run(path):
    """(vectors replayed, list of (number of the vector, operator code, what replay says) that went wrong)."""
    wrong = []
    with open(path, "rb") as file:
        magic, version, count, longest = struct.unpack("<4s3I", file.read(16))
        if magic != b"TLGV" or version != 1:
            raise ValueError("no golden vectors of version 1")
        whole = bytearray(longest)
        for number in range(count):
            length = struct.unpack("<I", file.read(4))[0]
            record = memoryview(whole)[:length]
            file.readinto(record)
            result = replay(record)
            if result:
                wrong.append((number, struct.unpack("<i", record[28:32])[0], result))
    return count, wrong
