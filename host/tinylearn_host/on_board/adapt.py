"""Teach a model with samples from the host, then answer queries. Also runs on CPython, over the simulator.

`read(buffer)` fills a bytearray with the next sample, `say(event, **values)` tells the host something: lines.py.
Events: taught (n), step (step, steps, loss, accuracy), before and after (label or None, confidence, us), adapted (us,
arena, why: what method "auto" decided, or None), trained (method, criterion, cache, known, hz, and what explain.py
calls a Story), layer (a Row) for each that was looked at, heap (peak, code). us: microseconds.
"""

import gc
import time
from array import array

import tinylearn

now_us = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
since = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)
heap = getattr(gc, "mem_alloc", None)  # None on CPython, which has no such thing to tell


class Session:
    def __init__(self, model, typecode, nbytes, recall, read, say):
        self.typecode, self.read, self.say = typecode, read, say
        self.buffer = bytearray(nbytes)
        self.outside = 0  # microseconds spent on the link and on looking at the heap
        self.peak = 0
        self.look()
        self.code = heap and heap()  # native modules and bytecode, this program's included, and the interpreter's own
        self.model = tinylearn.load(model, recall=recall)
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

    def predict(self, event, count, classes=()):
        """classes: that a model which has been taught nothing answers for; where it does not know them it says None."""
        knows = self.model.head or all(str(k) in [str(own) for own in self.model.labels] for k in classes)
        for _ in range(count):
            x = self.sample()
            start = now_us()
            label, confidence = self.model.predict(x) if knows else (None, 0)
            self.say(event, us=since(now_us(), start), label=label, confidence=confidence)

    def adapt(self, classes, labels, options, steps):
        self.steps, self.outside, start = steps, 0, now_us()
        self.model.adapt(Support(self, classes, labels), on_step=self.on_step, **options)
        microseconds = since(now_us(), start) - self.outside
        self.look()
        self.say("adapted", us=microseconds, arena=len(self.model.arena), why=self.model.why)

    def explain(self):
        """What was taught and trained, why, what that took, and what is known now."""
        from tinylearn.explain import ROW, STORY

        said = self.model.explain()
        values = {name: said.told[i] for i, name in enumerate(STORY)}
        values.update(method=said.method, criterion=said.criterion, cache=said.cache, known=said.known(), hz=said.hz)
        self.say("trained", **values)
        for row in said.layers:
            self.say("layer", **{name: row[i] for i, name in enumerate(ROW)})
        said = values = row = None
        gc.collect()  # what telling takes is no part of the peak

    def on_step(self, step, loss, accuracy):
        before = now_us()
        self.look()
        self.say("step", step=step, steps=self.steps, loss=loss, accuracy=accuracy)
        self.outside += since(now_us(), before)


class Support:
    """The pairs that adapt takes, of which one is here at a time."""

    def __init__(self, session, classes, labels):
        self.session, self.classes, self.labels = session, classes, labels

    def __len__(self):
        return len(self.labels)

    def __iter__(self):
        for n, label in enumerate(self.labels):
            yield self.session.sample(), self.classes[label]
            self.session.say("taught", n=n)


def session(model, typecode, nbytes, before, classes, labels, queries, options, steps, **link):
    s = Session(model, typecode, nbytes, "continual" in options, **link)  # one more task, or from the beginning
    if before:
        s.predict("before", queries, classes)
    s.adapt(classes, labels, options, steps)
    s.explain()
    s.predict("after", queries)
    s.look()
    s.say("heap", peak=s.peak, code=s.code)
