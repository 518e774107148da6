"""A model where it lies, one arena to run it in, and the head that it was taught."""

import gc
import os
import sys
from array import array
from struct import unpack_from

import tl_infer

_TENSOR, _OPERATOR = 32, 64  # bytes of a record, docs/SPEC.md
_SOFTMAX = 10
CHANGED = -2  # in places: where the file says, but not what it came with
PACKED = 1 << 30  # in places, of a convolution's scratch: its panel is there (kernels/program.h)


def need(nbytes, what):
    """Collect garbage; MemoryError with the numbers where nbytes are not free."""
    left = free()
    if left is not None and left < nbytes:
        raise MemoryError("%s: %d bytes of RAM are wanted, and %d are free: %s" % (what, nbytes, left, _ADVICE))


def free():
    """Bytes of RAM that are free, garbage collected, or None where nobody counts."""
    if not hasattr(gc, "mem_free"):
        return None
    gc.collect()
    return gc.mem_free()


_ALLOCATION = "memory allocation failed"  # MicroPython's own words
_ADVICE = "del what is not used, teach with fewer samples, or take a smaller model"
_PIECES = "%s: %d bytes of RAM are wanted in one piece, and the free ones are smaller: load the model first in main.py"


def allocate(nbytes, what):
    need(nbytes, what)
    try:
        return bytearray(nbytes)
    except MemoryError:
        raise MemoryError(_PIECES % (what, nbytes))


def fail(status, what):
    from .errors import explain

    raise ValueError(what + ": " + explain(status))


def load(path="model.tlm", recall=True):
    """The model in a .tlm file, ready to predict, with what it had learned when it was saved last.

    On a memory-mapped file system (ROMFS) it is used where it lies; else it is read into one bytearray of its size.
    recall=False: as it came; what was saved stays on the flash, untouched until save().
    ValueError says what is wrong with the file, MemoryError what it needs and what is free.
    """
    model = _open(path)
    model.path, model.in_place = path, not model.mapped
    for name in scratch(path, model.mapped):
        if _exists(name):  # the power went while the network was trained
            os.remove(name)
    if recall and (any(_exists(name) for name in slots(path, model.mapped)) or _circuitpython()):
        of_delta("restore", model)
    return model


def of_delta(name, *arguments):
    """Call a function of delta.py, whose code does not stay."""
    try:
        getattr(brought("delta"), name)(*arguments)
    finally:
        unload("delta")


def brought(name):
    """A module of this package. Where it comes from a file, garbage is collected all the while: else its code, and
    names that stay for good, lie scattered over the heap, and no large piece of it is left."""
    if hasattr(gc, "mem_free"):  # not on CPython, whose heap has no pieces to keep
        gc.collect()  # native modules want a piece of their size
    before = often()
    try:
        return __import__("tinylearn." + name, None, None, [name])
    finally:
        often(before)


def often(threshold=4096):
    """Collect garbage after so many new bytes, -1: when there is no room; then: what held before. None: who knows."""
    if threshold is None or not hasattr(gc, "mem_free") or not hasattr(gc, "threshold"):
        return None
    before = gc.threshold()
    gc.threshold(threshold)
    return before


def unload(name):
    """Give back the RAM that a module's code takes on a board; the next import loads it again."""
    if sys.implementation.name == "micropython" and "tinylearn." + name in sys.modules:
        del sys.modules["tinylearn." + name]
        delattr(sys.modules["tinylearn"], name)


def slots(path, mapped):
    """Where what was learned is kept: beside the model; in the root directory where the model's is read-only."""
    path = _writable(path, mapped)
    if path.endswith(".tlm"):
        path = path[:-4]
    return path + ".tld.0", path + ".tld.1"


def scratch(path, mapped):
    """Files that are there only while the network is trained, for which RAM has no room: what the frozen layers make of
    the samples, the samples themselves, and weights as they were before."""
    path = _writable(path, mapped)
    return path + ".tmp", path + ".in.tmp", path + ".was.tmp"


def _writable(path, mapped):
    return "/" + path.rsplit("/", 1)[-1] if mapped else path


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _circuitpython():  # it may have been saved in microcontroller.nvm
    return sys.implementation.name == "circuitpython"


def _open(path):
    need(2048, "opening " + path)
    try:
        f = open(path, "rb")
    except MemoryError:
        raise MemoryError(_PIECES % ("opening " + path, 2048))
    with f:
        try:
            mapped = memoryview(f)
        except TypeError:
            mapped = None
        if mapped:
            return Model(mapped, path, True)
        header = f.read(64)
        if len(header) < 64 or header[:4] != b"TLML":
            fail(2 if header[:4] == b"TLML" else 3, path)
        size = os.stat(path)[6]
        need(size + unpack_from("<I", header, 48)[0], path)
        file = allocate(size, path)
        f.seek(0)
        f.readinto(file)
    return Model(file, path)


class Model:
    """A model of a whole .tlm file in memory: bytes, bytearray, memoryview.

    mapped: the file lies in memory-mapped flash and takes no RAM.
    arena: bytearray that the forward program works in.
    changed, places: weights and biases that are not as they came, and an int32 per tensor that says where they are.
    path, saved: the file that it was loaded from; whether something of it was saved.
    in_place: weights change in `file` where it lies, since path has what they came with.
    held: {tensor: a bit for each channel}, the feature maps that continual learning holds, see continual.py.
    memory: or what it keeps of earlier tasks' samples, see replay.py; None: nothing.
    head: what was taught; None: the model answers with the classifier that it came with.
    story, why: what was taught last and what it took, and what "auto" made of the samples, for explain().
    operators, tensors: how many; ends: the tensors that are input, output and features.
    """

    _unpacked, memory = (), None

    def __init__(self, file, path="the model", mapped=False):
        status = tl_infer.check(file)
        if status == 1:
            print("tinylearn: %s does not lie on a multiple of 4 in memory, so it is copied" % path)
            size = len(file)
            source, file, mapped = file, allocate(size, path), False
            file[:] = source
            status = tl_infer.check(file)
        if status:
            fail(status, path)
        self.file, self.mapped = memoryview(file), mapped
        self.path, self.saved, self.in_place = None, False, False
        self.first_of_head, sections = unpack_from("<HH", file, 58)
        self._sections = {}
        for at in range(64, 64 + 16 * sections, 16):
            self._sections[bytes(self.file[at : at + 4])] = unpack_from("<III", file, at + 4)
        self.operators, self.tensors = self._sections[b"OPS "][2], self._sections[b"TENS"][2]
        self.ends = unpack_from("<3H", file, 52)
        self.head, self.held = None, {}
        self.story = self.why = None
        self._labels = None
        self._scores = None
        self._front = None
        self._lay_out(())

    def change(self, tensors):
        """Let these weights and biases change, from what they came with; all others are as they came.

        tensors: indices, each once. Without a file in RAM to change them in they have copies behind the arena: then the
        arena, and the views x, y and f, are new unless they are the same as before.
        """
        if self.in_place:
            self.bring_back(set(self.changed) | set(tensors))
            self.mark(tensors)
            return
        if tuple(tensors) != self.changed:
            self._lay_out(tensors)
        for index in tensors:
            at, size = unpack_from("<II", self.file, self._record(index))
            self.tensor(index)[0][:] = self.file[at : at + size]

    def mark(self, tensors):
        """Say that these weights and biases are not those that the file came with."""
        self.places, self.changed = None, tuple(tensors)
        self._find_panels()
        if tensors:
            self.places = array("i", (-1 for _ in range(self.tensors)))
            for index in tensors:
                self.places[index] = CHANGED

    def bring_back(self, tensors):
        """Read weights and biases from the flash again. OSError or ValueError where the file is not there any more."""
        if not tensors:
            return
        with open(self.path, "rb") as f:
            if f.read(48)[16:] != bytes(self.file[16:48]):
                raise ValueError("%s is another model now: load() it" % self.path)
            for index in sorted(tensors):
                f.seek(unpack_from("<I", self.file, self._record(index))[0])
                f.readinto(self.tensor(index)[0])

    def _lay_out(self, tensors):
        size, (x, y, features) = self.forward_bytes(), self.ends
        self.arena = self.x = self.y = self.f = None  # two arenas might not fit
        self.places, size = self._places(tensors, (size + 3) & ~3) if tensors else (None, size)
        self.arena, self.changed = allocate(size, "the arena"), tuple(tensors)
        self._find_panels()
        self.x, self._scale, self.x_zero = self.tensor(x)
        self.y, self.y_scale, self.y_zero = self.tensor(y)
        self.f, self.f_scale, self.f_zero = self.tensor(features)

    def _places(self, tensors, end):
        places = array("i", (-1 for _ in range(self.tensors)))
        for index in tensors:
            places[index] = end
            end += (self.nbytes(index) + 3) & ~3
        return places, end

    def _record(self, index):
        return self._sections[b"TENS"][0] + index * _TENSOR

    def forward_bytes(self):
        """Of the arena, in which a forward runs; what is trained of a memory-mapped model lies behind them."""
        return unpack_from("<I", self.file, 48)[0]

    def section(self, tag):
        """(offset, bytes, records) of a section of the file, zeros where it has none."""
        return self._sections.get(tag, (0, 0, 0))

    def nbytes(self, index):
        """Bytes of a tensor."""
        return unpack_from("<I", self.file, self._record(index) + 4)[0]

    def shape(self, index):
        """The four numbers of a tensor's shape, as docs/SPEC.md has them."""
        return unpack_from("<4H", self.file, self._record(index) + 8)

    def scales(self, index):
        """Where the file has a scale for each output channel of a tensor; 0: there is but one."""
        return unpack_from("<I", self.file, self._record(index) + 24)[0]

    def in_arena(self, index):
        """Whether a tensor is an activation or scratch, not a constant of the file."""
        return unpack_from("<B", self.file, self._record(index) + 17)[0] == 1

    def tensor(self, index):
        """(its bytes, its scale as the 4 bytes of a float32, its zero point) of a tensor, where they lie."""
        at = self._record(index)
        place, size = unpack_from("<II", self.file, at)
        region, zero = unpack_from("<Bb", self.file, at + 17)
        if self.places and self.places[index] >= 0:
            place, region = self.places[index], 1
        where = memoryview(self.arena) if region else self.file
        return where[place : place + size], self.file[at + 20 : at + 24], zero

    def operator(self, index, form, offset):
        """Fields of an operator's record, as struct.unpack_from gives them."""
        return unpack_from(form, self.file, self._sections[b"OPS "][0] + index * _OPERATOR + offset)

    @property
    def meta(self):
        """What the file says about itself: name, labels, source ... Parsed at each call."""
        import json

        offset, length, _ = self.section(b"META")
        return json.loads(str(bytes(self.file[offset : offset + length]), "utf-8")) if length else {}

    @property
    def own_labels(self):
        """The classes that the model came with: names from the file, or None where it names none."""
        if self._labels is None:
            names = self.meta.get("labels") if self.first_of_head < self.operators else None
            self._labels = names if isinstance(names, list) and len(names) == len(self.y) else ()
        return self._labels or None

    @property
    def labels(self):
        """The classes that predict chooses from, now."""
        if self.head:
            return self.head.labels
        if self.first_of_head == self.operators:
            return []
        return self.own_labels or list(range(len(self.y)))

    def take(self, x):
        """Write one sample to the model's input, raw or as its front end makes it. TypeError or ValueError says what is
        wrong with it."""
        if self.x is None:
            raise RuntimeError("the model is being trained, and its arena is in use: it answers when adapt is done")
        code, n = _kind(x)
        if code == "h" or n != len(self.x):
            return self._sense(x, code, n)
        status = 0
        if code == "b":
            self.x[:] = memoryview(x).cast("B") if hasattr(memoryview, "cast") else x
        elif code == "B":
            status = tl_infer.pixels(self.x, x)
        else:
            from tl_float import quantize

            status = quantize(self.x, x, self._scale, self.x_zero)
        if status:
            fail(status, "this sample")

    def _sense(self, x, code, n):
        """Write what the model's front end makes of raw samples to its input."""
        if self._front is None and self.section(b"FRNT")[1]:
            from .front import Front

            offset, length, _ = self.section(b"FRNT")
            self._front = Front(self.file[offset : offset + length])
        if self._front is None:
            if code == "h":
                raise TypeError(_TYPES % "array of 'h'")
            raise ValueError("a sample has %d values and the model takes %d" % (n, len(self.x)))
        if not self._front.takes(code, n):
            raise ValueError(
                "a sample has %d values of type %r, and the model takes %s; or %d as its front end makes them"
                % (n, code, self._front.wants(), len(self.x))
            )
        self._front.run(x, self.x)

    def _run(self, first, last):
        status = tl_infer.run(self.file, self.arena, first, last, self.places)
        if status:
            fail(status, "the model")
        if self._unpacked:
            self._keep(first, last)

    def _find_panels(self):
        """Set _unpacked: (operator, scratch) of convolutions whose scratch is theirs alone, where a panel made once
        stays. No panel is there."""
        found = []
        for i in range(self.operators):
            if self.operator(i, "B", 0)[0] == 1 and self.operator(i, "<i", 32)[0]:
                scratch = self.operator(i, "<H", 22)[0]
                found.append((i, scratch))
                if self.places:
                    self.places[scratch] = -1
        if found:  # else the model takes less RAM
            self._unpacked = found

    def _keep(self, first, last):
        """The panels of operators first .. last - 1 are made now: they stay until other weights change than these."""
        if not self.places:
            self.places = array("i", (-1 for _ in range(self.tensors)))
        later = []
        for i, scratch in self._unpacked:
            w, b = self.operator(i, "<2H", 18)
            if not first <= i < last:
                later.append((i, scratch))
            elif w not in self.changed and b not in self.changed:
                self.places[scratch] = unpack_from("<I", self.file, self._record(scratch))[0] | PACKED
        self._unpacked = later

    def run(self, x, out=None):
        """The raw int8 output for one sample: in out, a buffer of its size, or a view until the next run."""
        self.take(x)
        self._run(0, self.operators)
        if out is None:
            return self.y
        memoryview(out)[:] = self.y
        return out

    def features(self, x=None):
        """What a head reads, for one sample, or that in self.x: int8 as bytes, a view that the next run overwrites."""
        if x is not None:
            self.take(x)
        self._run(0, self.first_of_head)
        return self.f

    def predict(self, x):
        """(label, confidence 0 .. 1) of one sample."""
        if self.head:
            return self.head.answer(self.features(x))
        if self.first_of_head == self.operators:
            raise ValueError("this model has no classes yet: teach it first, model.adapt(samples)")
        scores = self.run(x)
        names = self.own_labels
        best, p = self._own_answer(scores)
        return (names[best] if names else best), p

    def _own_answer(self, scores):
        last = self.operator(self.operators - 1, "B", 0)[0]
        if last == _SOFTMAX:  # scale 1/256, zero point -128
            best = argmax(scores, 128)
            return best, (scores[best] ^ 128) / 256
        if self._scores is None:
            self._scores = array("i", scores), array("i", scores)
        logits, p = self._scores
        mantissa, exponent = float_parts(self.y_scale)
        for i in range(len(scores)):  # int8 -> 16 fractional bits
            v = ((scores[i] ^ 128) - 128 - self.y_zero) * mantissa
            v = v >> (-16 - exponent) if exponent < -16 else v << (exponent + 16)
            logits[i] = max(-(1 << 30), min(1 << 30, v))
        tl_infer.head_softmax(logits, p)
        best = argmax(p)
        return best, p[best] / 32768

    def adapt(
        self,
        samples,
        method="auto",
        steps=None,
        rate=None,
        on_step=None,
        seed=1,
        metric="cosine",
        keep=None,
        save=False,
        shrinkage=None,
        more="refine",
        head=None,
        layers=None,
        scheme=None,
        views=None,
        width=None,
        augment=None,
        cache=None,
        budget=None,
        time_budget=None,
        ratio=None,
        axis=None,
        criterion=None,
        compute=None,
        filter=None,
        continual=None,
        hold=None,
    ):
        """Teach classes from examples, and give this model. When anything goes wrong it predicts as before.

        samples   an iterable of (x, label): a list, a generator, something that reads a sensor. label: int or str
        method    "auto": a head, or where the samples say that this is not enough, the network, too; see auto.py, and
                  explain() for what it found. It trains for 10 steps and 2 minutes at most, unless told otherwise
                  "prototype": a class is the mean of its examples' features
                  "closed_form": linear discriminant analysis, the nearest mean where distances are whitened
                  "last_layer": from the prototypes, train a linear layer
                  "bias", "scheme", "full": train the network's last layers, too (tuning.py): their biases, what a
                  scheme of the model's file says, or all of them
                  "tinytrain": what is worth most by the samples' Fisher information (selection.py), see explain()
        steps     of training, each over all examples; None: what the model's card says, else 40
        rate      of last_layer, on features of length 1; 100. Gradients are clipped to a norm of 1. Of "bias" and so
                  on: of plain SGD in real numbers; None: what the model's card says; "find": that, four times or a
                  quarter of it, whichever has the lowest loss after two steps of each: nine steps' time in all
        on_step   called with (step, loss, accuracy on the samples) after each step
        seed      int, of the stochastic rounding: the same seed and samples give the same bits on every board
        metric    of prototype: "cosine" or "euclidean"
        keep      True: the model's own named classes stay, beside the new ones; None: they do if a sample has one of
                  their labels
        save      True: and save() it; OSError where that fails, though the model has learned
        shrinkage of closed_form, 0.01 .. 0.99: how round its covariance is made; None: by the number of samples
        more      of a class that is there already: "refine" it, or "add" a prototype beside those that it has, for
                  another session or another place of the sensor
        head      "auto": a closed form, as round as samples held out in turn say; takes ten times as long. What "bias"
                  and so on end with, unless the name of one is given

        Of "bias", "scheme", "tinytrain", "full":

        layers    how many of the last layers, at most; None: those that do three quarters of the work
        scheme    the name of one; None: the largest that fits
        views     how many augmented views of each sample there are, 0: none; None: the model's card
        augment   how they differ (augment.py), a dict of amounts, or "image", "spectrogram", "signal", or False; None:
                  the model's card
        width     of the gradients, 8 or 16 bits; None: the model's card
        cache     of what the frozen layers make of the samples: "ram", "flash", or "recompute" in each step; None: the
                  first of these that fits
        budget    bytes of RAM that this may take at most, beyond the model's code and file; None: what is free, of
                  which "bias" and "scheme" plan with 42 and 88 KB at most
        time_budget  seconds; None: any. Less is trained, or fewer steps are made, until it fits; MemoryError and
                  ValueError say what the least would take

        filter    2 or 4: gradients of 1x1 convolutions are summed over patches of 2x2 or 4x4 pixels, which takes less
                  RAM (filtering.py). Off by default: read the patent notice in docs/training.md

        continual this is one task of several. "lightcl": what earlier ones taught is kept by holding on to channels
                  that they used (continual.py), also across save(). A class that is there gets one more prototype.
                  "replay": by keeping some of their samples, as activations, beside the new ones (replay.py)
        hold      of "lightcl": a dict of samples, 15, whose maps are kept; share, 0.15 of a map's channels that a task
                  adds to those held, at most most, 0.5; strength, 1, of the pull. Of "replay": of bytes, 8192, that
                  are kept at most

        Of "tinytrain":

        ratio     share of a layer's channels that are trained, those worth most; 0.75
        axis      whose channels: "input" or "output"
        criterion by which layers are taken: "fisher" (information), "both" (that by parameters and operations),
                  "fisher/memory", "fisher/compute", "l2" (norms of weights), "random"
        compute   multiply-accumulates that the way back may take, as a share of those of training everything; 1

        Adapting again adds classes and refines the ones there are; forget(label) and reset() take away.
        """
        if not isinstance(seed, int):
            raise ValueError("seed is a whole number, not %r" % (seed,))
        teaching = brought("teaching")
        options = {"method": method, "steps": steps, "rate": rate, "on_step": on_step, "seed": seed, "metric": metric}
        options.update({"keep": keep, "shrinkage": shrinkage, "more": more, "head": head, "layers": layers})
        options.update({"scheme": scheme, "views": views, "width": width, "augment": augment, "cache": cache})
        options.update({"budget": budget, "time_budget": time_budget, "ratio": ratio, "axis": axis})
        options.update({"criterion": criterion, "compute": compute, "filter": filter})
        options.update({"continual": continual, "hold": hold})
        try:
            self.head = teaching.teach(self, samples, options)
        except MemoryError as e:
            if not str(e).startswith(_ALLOCATION):
                raise
            raise MemoryError("adapt needs more RAM than is free (%s bytes): %s" % (free(), _ADVICE))
        teaching.settle(self)
        if save:
            self.save()
        return self

    def forget(self, label):
        """Take one taught class away."""
        from .teaching import rows_without, without

        head = without(self.head, label)
        if self.memory:
            from . import replay

            self.memory = replay.without(self.memory, rows_without(self.head, label)) if head else None
        self.head = head

    def save(self):
        """Keep what was learned on the flash, where load() finds it. If the power goes meanwhile, the last save counts.

        OSError says why it cannot be kept; then the last save counts, too.
        """
        of_delta("save", self, self.head, self.changed, self.held, self.memory)

    def rollback(self):
        """Go back one save, here and on the flash; before the first save, the model was as it came.

        What was taught since the last save is forgotten, too. The flash keeps two saves: ValueError where none is left.
        """
        of_delta("rollback", self)

    def reset(self):
        """Forget everything taught: the model answers as it came. If something was saved, load() forgets it, too.

        That takes one more save, so rollback() undoes it.
        """
        if self.saved:
            of_delta("save", self, None, (), {}, None)
        self.head, self.held, self.memory, self.story, self.why = None, {}, None, None, None
        self.change(())

    def explain(self):
        """What was taught last, what that took, what was chosen of the network and why; and what is known now, also
        after load(): prints as sentences and a table, see explain.py.

        ValueError where nothing has been taught.
        """
        if not self.story and not self.head and not self.changed:
            raise ValueError("nothing has been taught, so there is nothing to explain: model.adapt(samples)")
        explanation = brought("explain").Explanation(self, self.story, self.why)
        for name in ("explain", "story", "plan", "replay"):
            unload(name)
        return explanation

    def plan(self, method="prototype", ways=10, shots=5, steps=None, head=None, **options):
        """What adapt would take for ways classes of shots examples: a named tuple of bytes and seconds, see plan.py.

        options: of adapt: layers, scheme, views, width, augment, cache, budget, time_budget.
        """
        from .plan import plan

        return plan(self, method, ways, shots, steps, head, options)


def argmax(values, flip=0):
    best = 0
    for i in range(len(values)):
        if values[i] ^ flip > values[best] ^ flip:
            best = i
    return best


def float_parts(raw):
    """(m, e) of a positive float32 given as 4 bytes: its value is m * 2**e. Integers, so every board gets the same."""
    bits = unpack_from("<I", raw)[0]
    return (bits & 0x7FFFFF) | 0x800000, (bits >> 23) - 150


def _kind(x):
    """(type code, number of values) of a sample."""
    code = None
    try:
        view = memoryview(x)
        n = len(view)
        if hasattr(view, "format"):  # CPython
            code = view.format[-1]
            n = view.nbytes // view.itemsize
        elif isinstance(x, (bytes, bytearray)):
            code = "B"
        elif isinstance(x, array):
            code = repr(x[:0])[7]  # array('f')
        elif not isinstance(x, str):  # MicroPython does not tell what a memoryview holds
            code = {2: "h", 4: "f"}.get(getattr(view, "itemsize", 1), "B")
            if code == "B" and min(x) < 0:
                raise ValueError(
                    "a memoryview is taken as pixels, and this one has negative values: pass the array itself"
                )
    except TypeError:
        pass
    if code not in ("b", "B", "f", "h"):
        raise TypeError(_TYPES % (type(x).__name__ + (" of " + repr(code) if code else "")))
    return code, n


_TYPES = "a sample is bytes or a bytearray (pixels), array('f') or array('b'), not %s"
