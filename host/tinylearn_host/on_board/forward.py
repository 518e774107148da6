"""Run a model on int8 samples that arrive as base64 lines; each answer goes back as one."""

import sys
import time
from binascii import a2b_base64, b2a_base64

import tl_infer


def read_line(buffer):
    n = 0
    while n < len(buffer):
        print("?")
        part = a2b_base64(sys.stdin.readline())
        buffer[n : n + len(part)] = part
        n += len(part)


def forward(path, size, arena_bytes, operators, x, y, count):
    model, arena = bytearray(size), bytearray(arena_bytes)
    with open(path, "rb") as f:
        f.readinto(model)
    status = tl_infer.check(model)
    x, y = memoryview(arena)[x[0] : x[1]], memoryview(arena)[y[0] : y[1]]
    for _ in range(count):
        if status:
            break
        read_line(x)
        start = time.ticks_us()
        status = tl_infer.run(model, arena, 0, operators)
        print(repr(("y", time.ticks_diff(time.ticks_us(), start), b2a_base64(y).decode().strip())))
    print(repr(("status", status)))
