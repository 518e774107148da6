"""Run a model on int8 samples that arrive as base64 lines; each answer goes back as one. read, say: lines.py."""

import time
from binascii import b2a_base64

import tl_infer


def forward(path, size, arena_bytes, operators, x, y, count, read, say):
    model, arena = bytearray(size), bytearray(arena_bytes)
    with open(path, "rb") as f:
        f.readinto(model)
    status = tl_infer.check(model)
    x, y = memoryview(arena)[x[0] : x[1]], memoryview(arena)[y[0] : y[1]]
    for _ in range(count):
        if status:
            break
        read(x)
        start = time.ticks_us()
        status = tl_infer.run(model, arena, 0, operators)
        say("y", us=time.ticks_diff(time.ticks_us(), start), y=b2a_base64(y).decode().strip())
    say("status", status=status)
