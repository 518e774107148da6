"""Measure a call by the board's clock: `measure(f, *args)` gives (microseconds, calls that they are for).

So many calls that the clock's resolution does not matter, and the best of five rounds, since other programs disturb.
Between measure.start() and measure.stop(), which gives microseconds, lies what is not a call; it is to be measured
`laps` times. Also runs on CPython.
"""

import gc
import time

now_us = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
since = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)

LONG_ENOUGH = 20000  # microseconds
ROUNDS = 5


class Stopwatch:
    laps = ROUNDS

    def start(self):
        gc.collect()
        self.begin = now_us()

    def stop(self):
        return since(now_us(), self.begin)

    def __call__(self, f, *args):
        calls = 1
        while True:
            microseconds = self._repeat(calls, f, args)
            if microseconds >= LONG_ENOUGH:
                break
            calls *= 2
        return min([microseconds] + [self._repeat(calls, f, args) for _ in range(ROUNDS - 1)]), calls

    def _repeat(self, calls, f, args):
        self.start()
        for _ in range(calls):
            f(*args)
        return self.stop()


measure = Stopwatch()
