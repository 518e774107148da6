"""Measure a call by the board's clock: `measure(f, *args)` gives (microseconds, calls that they are for).

So many calls that the clock's resolution does not matter, and the best of five rounds, since other programs disturb.
Also runs on CPython.
"""

import gc
import time

now_us = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
since = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)

LONG_ENOUGH = 20000  # microseconds
ROUNDS = 5


def measure(f, *args):
    calls = 1
    while True:
        microseconds = _repeat(calls, f, args)
        if microseconds >= LONG_ENOUGH:
            break
        calls *= 2
    return min([microseconds] + [_repeat(calls, f, args) for _ in range(ROUNDS - 1)]), calls


def _repeat(calls, f, args):
    gc.collect()
    start = now_us()
    for _ in range(calls):
        f(*args)
    return since(now_us(), start)
