"""Teach a model with samples from the host, then answer queries. Also runs on CPython, over the simulator.

`read(buffer)` fills a bytearray with the next sample, `say(event, *values)` tells the host something.
"""

import gc
import sys
import time
from array import array
from binascii import a2b_base64

import tinylearn

now_us = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
since = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)
heap = getattr(gc, "mem_alloc", None)  # None on CPython, which has no such thing to tell


def read_line(buffer):
    n = 0
    while n < len(buffer):
        print("?")
        part = a2b_base64(sys.stdin.readline())
        buffer[n : n + len(part)] = part
        n += len(part)


def say_line(*event):
    print(repr(event))


class Session:
    def __init__(self, model, typecode, nbytes, read=read_line, say=say_line):
        self.typecode, self.read, self.say = typecode, read, say
        self.buffer = bytearray(nbytes)
        self.outside = 0  # microseconds spent on the link and on looking at the heap
        self.peak = 0
        self.look()
        self.code = heap and heap()  # native modules and bytecode, this program's included, and the interpreter's own
        self.model = tinylearn.load(model, recall=False)
        self.look()

    def look(self):
        """Note the heap in use with all garbage since the last look, then collect: around each sample and step."""
        if heap:
            self.peak = max(self.peak, heap())
            gc.collect()

    def sample(self):
        before = now_us()
        self.look()
        self.read(self.buffer)
        self.outside += since(now_us(), before)
        return self.buffer if self.typecode == "B" else array(self.typecode, self.buffer)

    def support(self, classes, labels):
        for n, label in enumerate(labels):
            x = self.sample()
            yield x, classes[label]
            self.say("taught", n)

    def predict(self, event, count):
        for _ in range(count):
            x = self.sample()
            start = now_us()
            label, confidence = self.model.predict(x)
            self.say(event, label, confidence, since(now_us(), start))

    def adapt(self, classes, labels, options):
        self.outside, start = 0, now_us()
        self.model.adapt(self.support(classes, labels), on_step=self.on_step, **options)
        microseconds = since(now_us(), start) - self.outside
        self.look()
        self.say("adapted", microseconds, len(self.model.arena))

    def on_step(self, *progress):
        before = now_us()
        self.look()
        self.say("step", *progress)
        self.outside += since(now_us(), before)


def session(model, typecode, nbytes, before, classes, labels, queries, options, **link):
    s = Session(model, typecode, nbytes, **link)
    if before:
        s.predict("before", queries)
    s.adapt(classes, labels, options)
    s.predict("after", queries)
    s.look()
    s.say("heap", s.peak, s.code)
