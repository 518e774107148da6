"""Have the emulated Pico count where cycles go: what is measured first, the empty call, is taken off, what is measured
next added.

After counter.py, whose `write` it uses.
"""

import gc


class Profiler:
    laps = 1

    def __init__(self, register):
        self.register, self.signs = register, [-1, 1]

    def start(self):
        gc.collect()
        write(self.register, self.signs.pop(0))  # noqa: F821

    def stop(self):
        write(self.register, 0)  # noqa: F821
        return 0

    def __call__(self, f, *args):
        self.start()
        f(*args)
        return self.stop(), 1
