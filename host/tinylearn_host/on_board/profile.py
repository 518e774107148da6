"""Have the emulated Pico count where cycles go: `measure(f, *args)` takes off those of the first call, the empty one,
and adds those of the second.

After counter.py, whose `write` it uses.
"""

import gc


def profiler(register):
    signs = [-1, 1]

    def measure(f, *args):
        gc.collect()
        write(register, signs.pop(0))  # noqa: F821
        f(*args)
        write(register, 0)  # noqa: F821
        return 0, 1

    return measure
