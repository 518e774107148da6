"""The samples that a network's tail is trained on: what the frozen operators make of them, wherever there is room."""

import os
from array import array
from struct import unpack_from

import tl_train

from .model import allocate, fail, free, scratch, unload

RAM, FLASH, RECOMPUTE = "ram", "flash", "recompute"
NOWHERE, HERE, LENT = 0, 1, 2  # features of all samples: in no place, in the arena of training, in the model's own
TRIAL = 2  # steps at each rate, where one is to be found


class _Whole:
    def __getitem__(self, key):
        return key


ALL = _Whole()[:]  # x[ALL] = y allocates nothing, x[:] = y a slice


def looks(method, criterion):
    """Whether a method looks at the gradients of each channel before it chooses what to train."""
    return method == "tinytrain" and criterion not in ("l2", "random")


_MAX_POOL = 5  # an operator's code, docs/SPEC.md


def module(model, options):
    """The native module with the gradients that options of adapt want: tl_grad, or what has all of it and more, and
    takes the RAM (native_modules/kernels/backward.h). Known before anything is planned, for it takes of what is free.
    """
    more = looks(options.get("method"), options.get("criterion")) or _wide(model, options)
    more = more or options.get("continual") == "lightcl"
    more = more or _MAX_POOL in [model.operator(i, "B", 0)[0] for i in range(model.operators)]
    return "tl_channels" if more else "tl_grad"


def _wide(model, options):
    """Whether gradients have 16 bits: as options say, else the model's card; or one of the schemes that it has."""
    width = options.get("width")
    if width is None:
        card = model.meta.get("train")
        width = card.get("width") if isinstance(card, dict) else None
    at, size, _ = model.section(b"SCHM")
    end = at + size if options.get("method") == "scheme" else 0
    while width != 16 and at + 32 <= end:
        entries, width = unpack_from("<HH", model.file, at + 20)
        at += 32 + 12 * entries
    return width == 16


def settled(value):
    """The same in new objects. Those that planning leaves lie behind its code, where a large piece is to be free."""
    if isinstance(value, dict):
        return {key: settled(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return type(value)([settled(item) for item in value])
    if isinstance(value, (array, bytearray)):
        return value[:]
    return value * 1.0 if isinstance(value, float) else value


class Layout:
    """Where everything lies: the fields of tail.Tail.layout, and of tuning.Fit.layout."""

    def __init__(self, fields):
        for name in fields:
            setattr(self, name, fields[name])


_SAMPLES = "the samples"


def scarce(model, count, limit):
    """Whether the samples themselves would take much of `limit` bytes of RAM, so that a file is the place for them."""
    return limit is not None and (count is None or 8 * count * len(model.x) > limit)


def room(model, count, options):
    """Inputs for samples that are wanted more than once: a file, where they would take much of the RAM."""
    limit = options["budget"] if isinstance(options["budget"], int) else free()
    if options["cache"] != FLASH and (options["cache"] is not None or not scarce(model, count, limit)):
        try:
            return Inputs(len(model.x), count or 0)
        except MemoryError:  # in one piece
            pass
    try:
        return Inputs(len(model.x), name=scratch(model.path or "tinylearn", model.mapped)[1])
    except OSError:
        return Inputs(len(model.x), count or 0)


def augmentation(model, asked):
    """params of tl_train.augment, or None where nothing is to differ. asked: as of adapt."""
    if asked is False:
        return None
    from .augment import parameters

    params = parameters(model, asked)
    unload("augment")
    return params if any(params[5:]) else None


class Inputs:
    """The samples themselves, int8 [room or more, size]: in RAM, or in a file, one of which is read at a time."""

    def __init__(self, size, room=0, name=None):
        self.size, self.name = size, name
        self.file = open(name, "w+b") if name else None
        self.held, self.views = bytearray() if name else allocate(room * size, _SAMPLES), None

    def put(self, i, x):
        """Sample i; those before it are there."""
        at, end, self.views = i * self.size, (i + 1) * self.size, None
        if self.file:
            self.file.seek(at)
            self.file.write(x)
            return
        if end > len(self.held):
            larger = allocate(end + 15 * self.size, _SAMPLES)
            memoryview(larger)[: len(self.held)] = self.held
            self.held = larger
        memoryview(self.held)[at:end] = x

    def get(self, i, x):
        """Write sample i to x, a buffer of its size."""
        if self.file:
            self.file.seek(i * self.size)
            self.file.readinto(x)
        else:
            if self.views is None:  # once: a step is to allocate nothing
                self.views = self._views()
            x[ALL] = self.views[i]

    def _views(self):
        held, n = memoryview(self.held), self.size
        return [held[at : at + n] for at in range(0, len(held) - n + 1, n)]

    def close(self):
        self.held = self.views = None
        if self.file:
            self.file.close()
            os.remove(self.name)
            self.file = None


class Kept:
    """What tensors of a model hold now, to be put back: in RAM, or in a file called `name`."""

    def __init__(self, model, tensors, name=None):
        self.model, self.tensors, self.name = model, tensors, name if tensors else None
        self.contents = None if self.name else [bytes(model.tensor(t)[0]) for t in tensors]
        if self.name:
            with open(name, "wb") as f:
                for t in tensors:
                    f.write(model.tensor(t)[0])

    def put(self):
        if self.name:
            with open(self.name, "rb") as f:
                for t in self.tensors:
                    f.readinto(self.model.tensor(t)[0])
        else:
            for t, content in zip(self.tensors, self.contents):  # noqa: B905 (MicroPython)
                self.model.tensor(t)[0][ALL] = content

    def close(self):
        if self.name:
            os.remove(self.name)
            self.name = None


class Support:
    """The boundary activations of `count` samples in 1 + views views each, and an arena to train in.

    cache    where they are: "ram" (behind the arena's own `size` bytes, used in place), "flash" (a file, one record of
             which is read at a time), "recompute" (made again from `inputs` each time they are wanted)
    augment  params of tl_train.augment, or None: every view is the sample itself
    features int8 [count, n] of the clean samples, what `Training.all_features` wrote last: in the arena, in the model's
             own, which is idle from the last sample on, or None, as the layout says
    inputs   Inputs that have the samples already, for "recompute" and fill(); they stay the caller's
    """

    def __init__(self, model, layout, seed, inputs=None):
        self.model, self.layout, self.seed = model, layout, seed
        self.count, self.views, self.n = layout.count, layout.views, len(model.f)
        bytes_of_all = self.count * self.n
        self.records_at = layout.size
        if layout.features == HERE:
            self.records_at = (layout.size + bytes_of_all + 3) & ~3
        slots = self.count * (1 + self.views) if layout.cache == RAM else 1
        if layout.cache == RAM and layout.old:
            slots += 1
        self.arena = allocate(layout.arena, "training")
        if layout.reserved:  # the memory for later tasks will be the first piece; the others are free now
            layout.memory, layout.reserved = layout.reserved[0], None
        view, self.slot_at = memoryview(self.arena), self.records_at + (slots - 1) * layout.record
        self.slot = view[self.slot_at : self.slot_at + layout.record]
        self.old = ()  # (row, record) of old samples
        if layout.old:
            from .replay import samples

            self.old = samples(model.memory)
        self.features = None
        if layout.features == HERE:
            self.features = view[layout.size : layout.size + bytes_of_all]
        elif layout.features == LENT:
            self.features = memoryview(model.arena)[:bytes_of_all]
        self.sample = bytearray(len(model.x))
        self.state = array("i", (0,))
        self.sources = [model.tensor(t)[0] for t in layout.boundary]
        self.parts = self._parts(self.slot)
        self.inputs = self.file = None
        if layout.cache == RECOMPUTE:
            self.inputs = inputs or Inputs(len(model.x), self.count)
        if layout.cache == FLASH:
            self.name = scratch(model.path or "tinylearn", model.mapped)[0]
            self.file = open(self.name, "w+b")

    def fill(self, inputs):
        """Add all samples."""
        if self.inputs is not inputs:
            for i in range(self.count):
                inputs.get(i, self.model.x)
                self.add(i)

    def add(self, i):
        """Sample i, which lies in model.x."""
        if self.inputs:
            self.inputs.put(i, self.model.x)
            return
        self.sample[ALL] = self.model.x
        for view in range(1 + self.views):
            if self.file:
                self._make(i, view, self.parts)
                self.file.write(self.slot)
            else:
                at = self.records_at + (i * (1 + self.views) + view) * self.layout.record
                self._make(i, view, self._parts(memoryview(self.arena)[at : at + self.layout.record]))

    def _parts(self, slot):
        """Where each tensor of the boundary lies in a slot."""
        offsets = self.layout.offsets
        return [slot[offsets[j] : offsets[j] + len(source)] for j, source in enumerate(self.sources)]

    def _make(self, i, view, parts):
        """The boundary of one view of self.sample, into the parts of a slot."""
        model, layout = self.model, self.layout
        if view and layout.augment:
            self.state[0] = ((self.seed * 31 + i) * 31 + view) * 40503 & 0x3FFFFFFF | 1
            status = tl_train.augment(layout.augment, self.sample, model.x, self.state)
            if status:
                fail(status, "augmenting")
        else:
            model.x[ALL] = self.sample
        model._run(0, layout.first)
        for j in range(len(parts)):
            parts[j][ALL] = self.sources[j]

    def find(self, i, view):
        """Let the boundary in the layout's places be that of sample i; behind the last one that of an old one."""
        layout, index, at = self.layout, i * (1 + self.views) + view, self.slot_at
        if i >= self.count:
            self.slot[ALL] = self.old[i - self.count][1]
        elif self.file:
            self.file.seek(index * layout.record)
            self.file.readinto(self.slot)
        elif not self.inputs:
            at = self.records_at + index * layout.record
        else:
            self.inputs.get(i, self.sample)
            self._make(i, view, self.parts)
        for j in range(len(self.sources)):
            layout.places[layout.boundary[j]] = at + layout.offsets[j]

    def record(self, i):
        """The boundary of sample i as it came, where it lies."""
        self.find(i, 0)
        at = self.layout.places[self.layout.boundary[0]] - self.layout.offsets[0]
        return memoryview(self.arena)[at : at + self.layout.record]

    def close(self):
        """Give back all memory, and remove the file."""
        self.arena = self.old = self.slot = self.parts = self.features = self.sources = self.inputs = None
        if self.file:
            self.file.close()
            os.remove(self.name)
            self.file = None
