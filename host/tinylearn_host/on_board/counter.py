"""Measure a call by a 32-bit counter register: `measure(f, *args)` gives (its ticks, 1), exactly.

Nothing is allocated between the two readings but what the call allocates: a large int would be, now and then. How often
the counter went round meanwhile, the clock tells.
"""

import gc
import time
from array import array

import micropython


@micropython.viper
def write(register: ptr32, value: int):  # noqa: F821
    register[0] = value


@micropython.viper
def copy(register: ptr32, to: ptr32, i: int):  # noqa: F821
    to[i] = register[0]


def counter(address, hz, step, start):
    """hz: its rate; step: 1, or -1 where it counts down; start: what to write where to have it run."""
    for register, value in start:
        write(register, value)
    readings = array("I", (0, 0))

    def measure(f, *args):
        gc.collect()
        begin = time.ticks_ms()
        copy(address, readings, 0)
        f(*args)
        copy(address, readings, 1)
        ticks = (readings[1] - readings[0]) * step & 0xFFFFFFFF
        expected = time.ticks_diff(time.ticks_ms(), begin) * hz // 1000
        return ticks + ((expected - ticks + (1 << 31)) >> 32 << 32), 1

    return measure
