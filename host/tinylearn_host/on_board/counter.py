"""Measure a call by a 32-bit counter register: `measure(f, *args)` gives (its ticks, 1), exactly.

Nothing is allocated between the two readings but what the call allocates: a large int would be, now and then.
"""

import gc
from array import array

import micropython


@micropython.viper
def write(register: ptr32, value: int):  # noqa: F821
    register[0] = value


@micropython.viper
def copy(register: ptr32, to: ptr32, i: int):  # noqa: F821
    to[i] = register[0]


def counter(address, start):
    for register, value in start:
        write(register, value)
    readings = array("I", (0, 0))

    def measure(f, *args):
        gc.collect()
        copy(address, readings, 0)
        f(*args)
        copy(address, readings, 1)
        return readings[1] - readings[0], 1

    return measure
