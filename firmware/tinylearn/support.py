"""The samples that a network's tail is trained on: what the frozen operators make of them, wherever there is room."""

import os
from array import array

import tl_infer
import tl_train

from .model import allocate, fail, scratch

RAM, FLASH, RECOMPUTE = "ram", "flash", "recompute"


class _Whole:
    def __getitem__(self, key):
        return key


ALL = _Whole()[:]  # x[ALL] = y allocates nothing, x[:] = y a slice


class Layout:
    """Where everything lies: the fields of tail.Tail.layout, and of tuning.Fit.layout."""

    def __init__(self, fields):
        for name in fields:
            setattr(self, name, fields[name])


class Support:
    """The boundary activations of `count` samples in 1 + views views each, and an arena to train in.

    cache    where they are: "ram" (behind the arena's own `size` bytes, used in place), "flash" (a file, one record of
             which is read at a time), "recompute" (made again from the inputs each time they are wanted)
    augment  params of tl_train.augment, or None: every view is the sample itself
    features int8 [count, n] of the clean samples, what `Training.add_up` wrote last
    """

    def __init__(self, model, layout, seed):
        self.model, self.layout, self.seed = model, layout, seed
        self.count, self.views, self.n = layout.count, layout.views, len(model.f)
        self.features_at = layout.size
        self.records_at = (layout.size + self.count * self.n + 3) & ~3
        slots = self.count * (1 + self.views) if layout.cache == RAM else 1
        self.arena = allocate(self.records_at + slots * layout.record, "training")
        view = memoryview(self.arena)
        self.slot = view[self.records_at : self.records_at + layout.record]
        self.features = view[self.features_at : self.features_at + self.count * self.n]
        self.sample = bytearray(len(model.x))
        self.state = array("i", (0,))
        self.sources = [model.tensor(t)[0] for t in layout.boundary]
        self.inputs = self.file = None
        if layout.cache == RECOMPUTE:
            self.inputs = allocate(self.count * len(model.x), "the samples")
        if layout.cache == FLASH:
            self.name = scratch(model.path or "tinylearn", model.mapped)
            self.file = open(self.name, "w+b")

    def add(self, i):
        """Sample i, which lies in model.x."""
        if self.inputs:
            size = len(self.sample)
            memoryview(self.inputs)[i * size : (i + 1) * size] = self.model.x
            return
        self.sample[ALL] = self.model.x
        for view in range(1 + self.views):
            if self.file:
                self._make(i, view, self.slot)
                self.file.write(self.slot)
            else:
                at = self.records_at + (i * (1 + self.views) + view) * self.layout.record
                self._make(i, view, memoryview(self.arena)[at : at + self.layout.record])

    def _make(self, i, view, slot):
        """The boundary of one view of self.sample."""
        model, layout = self.model, self.layout
        if view and layout.augment:
            self.state[0] = ((self.seed * 31 + i) * 31 + view) * 40503 & 0x3FFFFFFF | 1
            status = tl_train.augment(layout.augment, self.sample, model.x, self.state)
            if status:
                fail(status, "augmenting")
        else:
            model.x[ALL] = self.sample
        status = tl_infer.run(model.file, model.arena, 0, layout.first, model.places)
        if status:
            fail(status, "the model")
        for j, source in enumerate(self.sources):
            slot[layout.offsets[j] : layout.offsets[j] + len(source)] = source

    def find(self, i, view):
        """Let the boundary in the layout's places be that of sample i."""
        layout, index, at = self.layout, i * (1 + self.views) + view, self.records_at
        if self.file:
            self.file.seek(index * layout.record)
            self.file.readinto(self.slot)
        elif not self.inputs:
            at += index * layout.record
        else:
            size = len(self.sample)
            self.sample[ALL] = memoryview(self.inputs)[i * size : (i + 1) * size]
            self._make(i, view, self.slot)
        for j in range(len(self.sources)):
            layout.places[layout.boundary[j]] = at + layout.offsets[j]

    def close(self):
        """Give back all memory, and remove the file."""
        self.arena = self.slot = self.features = self.sources = self.inputs = None
        if self.file:
            self.file.close()
            os.remove(self.name)
            self.file = None
