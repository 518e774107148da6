# Runs on the board (and on CPython with the simulator): what tl_front does there, as lines to compare.
import array
import gc

import tl_front
import tl_infer

try:
    import micropython
except ImportError:
    micropython = None


def noise(values, seed, most):
    """xorshift32, within +-most."""
    for i in range(len(values)):
        seed ^= (seed << 13) & 0xFFFFFFFF
        seed ^= seed >> 17
        seed ^= (seed << 5) & 0xFFFFFFFF
        values[i] = (seed >> 8) % (2 * most + 1) - most
    return values


def beep(values, period, most):
    for i in range(len(values) // 3, len(values) // 2):
        values[i] = most if i // period % 2 else -most
    return values


def everything(path, kind, samples, size):
    with open(path, "rb") as f:
        section = bytearray(f.read())
    scratch = bytearray(max(0, tl_front.scratch(section)))
    picture, raw = bytearray(size), array.array(kind, (0 for _ in range(samples)))
    print("scratch", len(scratch))
    run = tl_front.run
    for most in (1, 60, 127) if kind == "b" else (1, 300, 32767):
        noise(raw, 88172645 + most, most)
        print("noise", most, run(section, raw, picture, scratch), tl_infer.crc32(picture))
        beep(raw, 9, most)
        print("beep", most, run(section, raw, picture, scratch), tl_infer.crc32(picture))
    print("bytes", run(section, bytes(len(raw) * (2 if kind == "h" else 1)), picture, scratch), tl_infer.crc32(picture))
    print("short", run(section, raw[1:], picture, scratch), run(section, raw, bytearray(size - 1), scratch))
    print("damaged", tl_front.scratch(section[:-1]), run(section[:-1], raw, picture, scratch), tl_front.scratch(b""))
    if micropython:
        gc.collect()
        micropython.heap_lock()
        run(section, raw, picture, scratch)
        micropython.heap_unlock()
