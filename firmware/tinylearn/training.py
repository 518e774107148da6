"""Few-shot training of a network's tail on the board (TinyTrain, arXiv 2307.09988, algorithm 1; PMF, 2204.07305).

One step: the clean samples run through the tail, and the means of their features become a cosine head's rows; then each
sample's pseudo-query, an augmented view of it, runs through the tail in a random order, its cross-entropy against these
rows goes back, and weights and biases move at once (docs/training.md). The model itself, its arena and its weights stay
as they are until `Training.finish`: whatever is raised before, it predicts as before.
"""

import gc
import os
from array import array
from math import frexp

import tl_grad
import tl_infer
import tl_train

from .model import allocate, fail
from .teaching import forget_rows

RAM, FLASH, RECOMPUTE = "ram", "flash", "recompute"


class _Whole:
    def __getitem__(self, key):
        return key


_ALL = _Whole()[:]  # x[_ALL] = y allocates nothing, x[:] = y a slice


def _run(*arguments):
    status = tl_infer.run(*arguments)
    if status:
        fail(status, "the model")


# ---- What the frozen operators make of the samples -------------------------------------------------------------------


class Support:
    """The boundary activations of count samples in 1 + views views each, and an arena to train in.

    cache    where they are: "ram" (behind the arena's own `tail.size` bytes, used in place), "flash" (a file, one
             record of which is read at a time), "recompute" (made again from the inputs each time they are wanted)
    augment  params of tl_train.augment, or None: every view is the sample itself
    """

    def __init__(self, model, tail, count, views, cache, augment, seed):
        self.model, self.tail, self.count, self.views, self.cache = model, tail, count, views, cache
        self.augment, self.seed = augment, seed
        self.n = len(model.f)
        self.features_at = tail.size
        self.records_at = (tail.size + count * self.n + 3) & ~3
        slots = count * (1 + views) if cache == RAM else 1
        self.arena = allocate(self.records_at + slots * tail.record, "training")
        self.sample = bytearray(len(model.x))
        self.state = array("i", (0,))
        self.tensors = array("h", tail.boundary)
        self.offsets = array("i", (tail.boundary[t] for t in self.tensors))
        self.sources = [model.tensor(t)[0] for t in self.tensors]
        self.places = tail.places()
        self.slot = memoryview(self.arena)[self.records_at : self.records_at + tail.record]
        self.inputs = self.file = None
        if cache == RECOMPUTE:
            self.inputs = allocate(count * len(model.x), "the samples")
        if cache == FLASH:
            self.name = (model.path or "tinylearn") + ".tmp"
            self.file = open(self.name, "w+b")

    def add(self, i):
        """Sample i, which lies in model.x."""
        if self.cache == RECOMPUTE:
            size = len(self.sample)
            memoryview(self.inputs)[i * size : (i + 1) * size] = self.model.x
            return
        self.sample[_ALL] = self.model.x
        for view in range(1 + self.views):
            at = (i * (1 + self.views) + view) * self.tail.record
            slot = memoryview(self.arena)[self.records_at + at :] if self.cache == RAM else self.slot
            self._make(i, view, slot)
            if self.cache == FLASH:
                self.file.write(slot)

    def _make(self, i, view, slot):
        """The boundary of one view of self.sample."""
        model = self.model
        if view and self.augment:
            self.state[0] = ((self.seed * 31 + i) * 31 + view) * 40503 & 0x3FFFFFFF | 1
            status = tl_train.augment(self.augment, self.sample, model.x, self.state)
            if status:
                fail(status, "augmenting")
        else:
            model.x[_ALL] = self.sample
        _run(model.file, model.arena, 0, self.tail.first, model.places)
        for j, source in enumerate(self.sources):
            slot[self.offsets[j] : self.offsets[j] + len(source)] = source

    def find(self, i, view):
        """Let the boundary in `places` be that of sample i."""
        index, at = i * (1 + self.views) + view, self.records_at
        if self.cache == RAM:
            at += index * self.tail.record
        elif self.cache == FLASH:
            self.file.seek(index * self.tail.record)
            self.file.readinto(self.slot)
        else:
            size = len(self.sample)
            self.sample[_ALL] = memoryview(self.inputs)[i * size : (i + 1) * size]
            self._make(i, view, self.slot)
        for j in range(len(self.tensors)):
            self.places[self.tensors[j]] = at + self.offsets[j]

    @property
    def features(self):
        """int8 [count, n]: what `Training.prototypes` wrote last."""
        return memoryview(self.arena)[self.features_at : self.features_at + self.count * self.n]

    def close(self):
        if self.file:
            self.file.close()
            os.remove(self.name)
            self.file = None


# ---- Steps -----------------------------------------------------------------------------------------------------------


class Training:
    """head: with rows of all classes, of which those of the samples are made anew in every step.

    rows: uint8 [count], the row of each sample. rate: of plain SGD in real numbers.
    """

    def __init__(self, support, head, rows, rate, seed):
        model, tail = support.model, support.tail
        self.model, self.tail, self.support, self.head, self.rows = model, tail, support, head, rows
        self.records, self.masks = tail.records(), tail.masks()
        arena, n = memoryview(support.arena), support.n
        for t in tail.trained:
            at = tail.kept["trained", t]
            arena[at : at + model.nbytes(t)] = model.tensor(t)[0]
        self._fill_tables(arena, rate)
        gradient = tail.blocks["gradient", tail.features].at
        self.dx = arena[gradient : gradient + n * tail.width // 8]
        self.f_at = support.places[tail.features]
        self.f = arena[self.f_at : self.f_at + n]
        self.state = array("i", (seed * 2654435761 & 0x3FFFFFFF | 1, tail.kept["exponents", 0], 0, 0, 0, 0, 0, 0))
        self.params = array("i", head.params)
        self.params.append(0)
        self.scratch = allocate(4 * (n + 2 * head.params[1]), "the loss")
        self._forget_present()
        self.order = array("h", range(support.count))
        self.chance = seed % 65536
        self.steps = 0

    def _fill_tables(self, arena, rate):
        mantissa, exponent = frexp(rate)
        params = array("i", (0, 0, int(mantissa * 16384 + 0.5), exponent - 14))
        for index, t in self.tail.choice.items():
            op = self.tail.ops[index - self.tail.first]
            for bias, kind in ((0, "rates"), (1, "bias rates")):
                at = self.tail.kept.get((kind, index))
                if at is not None:
                    params[0], params[1] = index, bias
                    status = tl_grad.rates(params, self.model.file, arena[at : at + 4 * op.shape[0]])
                    if status:
                        fail(status, "training")
            if t.list:
                at = self.tail.kept["list", index]
                arena[at : at + 2 * len(t.list)] = bytes(t.list)

    def _forget_present(self):
        """What the rows of the samples' classes were made of before was made by other weights."""
        forget_rows(self.head, set(self.rows))
        self.sums, self.counts = bytes(self.head.sums), array("i", self.head.counts)

    def prototypes(self):
        """The head's rows, from the clean samples and the weights as they are."""
        support, head, tail = self.support, self.head, self.tail
        places, in_place = support.places, support.n % 4 == 0
        for i in range(support.count):
            support.find(i, 0)
            at = support.features_at + i * support.n
            if in_place:
                places[tail.features] = at
            _run(self.model.file, support.arena, tail.first, tail.end, places)
            if not in_place:
                memoryview(support.arena)[at : at + support.n] = self.f
        places[tail.features] = self.f_at
        head.sums[_ALL] = self.sums
        head.counts[_ALL] = self.counts
        self._call(tl_train.class_sums, head.params, support.features, self.rows, head.sums, head.counts)
        self._call(tl_train.class_rows, head.params, head.sums, head.counts, head.w, head.b)

    def _call(self, function, *arguments):
        status = function(*arguments)
        if status:
            fail(status, "training")

    def step(self):
        """(mean loss, share of pseudo-queries that were right) of one step over all samples."""
        support, head, tail, state = self.support, self.head, self.tail, self.state
        file, arena, places = self.model.file, support.arena, support.places
        self.prototypes()
        self._shuffle()
        loss = right = 0
        for i in self.order:
            view = 1 + (self.steps + i) % support.views if support.views else 0
            support.find(i, view)
            _run(file, arena, tail.first, tail.end, places, self.masks)
            self.params[5] = self.rows[i]
            self._call(tl_grad.head_loss, self.params, self.f, head.w, head.b, self.dx, state, self.scratch)
            loss += state[5] >> 4
            right += state[6] == self.rows[i]
            self._call(tl_grad.backward, file, arena, places, self.records, state)
        self.steps += 1
        return loss / (4096 * support.count), right / support.count

    def _shuffle(self):
        order, chance = self.order, self.chance
        for i in range(len(order) - 1, 0, -1):
            chance = (chance * 75 + 74) % 65537
            j = chance % (i + 1)
            order[i], order[j] = order[j], order[i]
        self.chance = chance

    # ---- Weights

    def copy(self, buffer, out):
        """All trained tensors, one after the other: out to a buffer, or back from it."""
        arena, buffer, at = memoryview(self.support.arena), memoryview(buffer), 0
        for t in self.tail.trained:
            place, size = self.tail.kept["trained", t], self.model.nbytes(t)
            if out:
                buffer[at : at + size] = arena[place : place + size]
            else:
                arena[place : place + size] = buffer[at : at + size]
            at += (size + 3) & ~3

    def finish(self):
        """Let the model have the trained weights."""
        model, tail = self.model, self.tail
        before = [(t, bytes(model.tensor(t)[0])) for t in model.changed]
        try:
            model.change(sorted(set(model.changed) | set(tail.trained)))
            for t, content in before:
                model.tensor(t)[0][_ALL] = content
            for t in tail.trained:
                at = tail.kept["trained", t]
                model.tensor(t)[0][_ALL] = memoryview(self.support.arena)[at : at + model.nbytes(t)]
        except BaseException:
            model.change([t for t, _ in before])
            for t, content in before:
                model.tensor(t)[0][_ALL] = content
            raise


def free():
    """Bytes of RAM that are free, or None where nobody counts."""
    if not hasattr(gc, "mem_free"):
        return None
    gc.collect()
    return gc.mem_free()
