"""Measure a call by a 32-bit counter register: `measure(f, *args)` gives (its ticks, 1), exactly; what is not a call
lies between measure.start() and measure.stop(), which gives ticks, exactly but for a hundred of Python's own: names are
found faster once they have been. One lap is enough.

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


class Counter:
    laps = 1
    tries = 3  # of short calls: an interrupt of the USB port may fall into one, and takes as long

    def __init__(self, address, hz, step, start):
        """hz: its rate; step: 1, or -1 where it counts down; start: what to write where to have it run."""
        for register, value in start:
            write(register, value)
        self.address, self.hz, self.step, self.readings = address, hz, step, array("I", (0, 0))

    def start(self):
        gc.collect()
        self.begin = time.ticks_ms()
        copy(self.address, self.readings, 0)

    def stop(self):
        copy(self.address, self.readings, 1)
        return self._ticks()

    def __call__(self, f, *args):
        address, readings, read = self.address, self.readings, copy
        self.start()
        read(address, readings, 0)
        f(*args)
        read(address, readings, 1)
        return self._ticks(), 1

    def _ticks(self):
        ticks = (self.readings[1] - self.readings[0]) * self.step & 0xFFFFFFFF
        expected = time.ticks_diff(time.ticks_ms(), self.begin) * self.hz // 1000
        return ticks + ((expected - ticks + (1 << 31)) >> 32 << 32)
