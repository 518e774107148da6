"""What training the end of a network takes: which operators run back, where every byte lies, and tl_grad's records.

A choice says what is trained: {operator: Trained}. The operators from the first of these to the features are the tail;
what comes before it is frozen, and its results, the boundary, are kept per sample. Lifetimes over one sample's forward,
loss and backward give each tensor, gradient, mask and scratch its place in one arena, first fit. The host's partition
uses this very file, so what it says of a choice is what the board does.
"""

from array import array
from collections import namedtuple
from struct import unpack_from

# flags: WEIGHTS, BIAS; or FISHER: nothing is trained, but the Fisher information of an axis' channels is added up.
# count channels of an axis (0 input, 1 output; depthwise has one), from first on or those in list, an array('h');
# count 0: all.
Trained = namedtuple("Trained", ("flags", "axis", "first", "count", "list"))
# name, bytes that the host reckoned for the arena without samples, width of the gradients, choice
Scheme = namedtuple("Scheme", ("name", "bytes", "width", "choice"))

# of a record of tl_grad's plans, native_modules/kernels/backward.h
WEIGHTS, BIAS, INPUT, ADD, ADD2, FISHER = 1, 2, 4, 8, 16, 32
_MASK = 16  # of a record of the section BWD
_PANEL, _ROWS = 1024, 4  # of a convolution's gradients: bytes of weights, and output channels, least at once
_CONV2D, _DEPTHWISE, _DENSE, _MAX_POOL, _ADDITION, _CLAMP, _RESHAPE = 1, 2, 3, 5, 7, 9, 11
_IN_PLACE = _ADDITION, _CLAMP, _RESHAPE
_NOBODY = 65535
FAST, NARROW, PLAIN = 0, 1, 2  # kernels: in all the scratch they use, in the least that is still fast, in hardly any
CHANGED = -2  # model.CHANGED; the host's partition imports this file alone
_PARTITION = "this model says nothing of how to train it: run `tinylearn partition` on it and flash it again"


def whole(flags):
    """All channels."""
    return Trained(flags, 0, 0, 0, None)


# ---- What the model's file says --------------------------------------------------------------------------------------


class Operator:
    """One operator's tensors, what the sections BWD and COST say of it, and its weights as (outputs, taps, inputs)."""

    def __init__(self, model, index, flags=0, cost=None):
        self.index, self.flags = index, flags
        self.code = model.operator(index, "B", 0)[0]
        self.x, self.x2, self.y, self.w, self.b, self.s = model.operator(index, "<6H", 12)
        self.macs = model.operator(index, "<I", 28)[0]
        self.macs_input, self.macs_weight, self.scratch_input, self.scratch_weight = cost or (0, 0, 0, 0)
        self.shape, self.share = None, 1  # share: what is left of a gradient's work where it is filtered
        if self.code <= _DENSE:
            o, h, w, i = model.shape(self.w)
            self.shape = (i, h * w, 1) if self.code == _DEPTHWISE else (o, h * w, i)

    def chosen(self, t):
        """(outputs, inputs) that are trained."""
        outputs, _, inputs = self.shape
        if t.count == 0:
            return outputs, inputs
        return (t.count, inputs) if t.axis or self.code == _DEPTHWISE else (outputs, t.count)

    def parameters(self):
        outputs, taps, inputs = self.shape
        return outputs * (taps * inputs + 1)

    def channels(self, axis):
        """How many there are of an axis."""
        return self.shape[0 if axis or self.code == _DEPTHWISE else 2]


def backward(model):
    """The operators that gradients can go through, in their order, as the file has them: last first. Made once, as many
    tails are planned before one is taken: nobody is to change them."""
    global _read
    if not _read or _read[0] is not model:
        _read = model, read_backward(model)
    return _read[1]


_read = None  # (model, operators)


def forget_operators():
    """Let go of what backward() has read."""
    global _read
    _read = None


def read_backward(model):
    """The same, as objects of the caller's own."""
    at, size, count = model.section(b"BWD ")
    costs, costs_size, _ = model.section(b"COST")
    if not count or size != 8 * count or costs_size != 40 * count:
        raise ValueError(_PARTITION)
    found, before = [], model.first_of_head
    for i in range(count):
        index, flags = unpack_from("<HH", model.file, at + 8 * i)
        if index >= before:
            raise ValueError("record %d of the model's section BWD is out of order: convert the model again" % i)
        before = index
        cost = unpack_from("<2I", model.file, costs + 40 * i + 16) + unpack_from("<2I", model.file, costs + 40 * i + 32)
        found.append(Operator(model, index, flags, cost))
    return found


def trainable(model):
    """Those of them that have weights or biases to train, last first."""
    return [op for op in backward(model) if op.flags & (WEIGHTS | BIAS)]


def usual(model, parts=3, of=4):
    """Those that are trained where nobody says how many: the last ones, up to three quarters of the network's work.

    A step costs what its tail costs, and late layers matter most; far from what the network was trained on the middle
    ones do, too (docs/training.md).
    """
    total = sum([model.operator(i, "<I", 28)[0] for i in range(model.first_of_head)])
    found, macs, before = [], 0, model.first_of_head
    for op in trainable(model):
        macs += sum([model.operator(i, "<I", 28)[0] for i in range(op.index, before)])
        before = op.index
        if len(found) >= 2 and of * macs > parts * total:
            break
        found.append(op)
    return found


def schemes(model):
    """The sparse update schemes that the host has put into the model."""
    at, size, count = model.section(b"SCHM")
    end, found = at + size, []
    allowed = {op.index: op for op in trainable(model)} if count else {}
    for _ in range(count):
        if end - at < 32:
            raise ValueError(_DAMAGED)
        name, ram, entries, width = unpack_from("<16sIHH", model.file, at)
        at += 32
        if end - at < 12 * entries or width not in (8, 16) or not entries:
            raise ValueError(_DAMAGED)
        choice = {}
        for _ in range(entries):
            index, flags, axis, first, channels = unpack_from("<HBBHH", model.file, at)
            at += 12
            op = allowed.get(index)
            most = op and op.channels(axis)
            if not op or not flags or flags & ~op.flags & 3 or flags > 3 or axis > 1 or first + channels > most:
                raise ValueError(_DAMAGED)
            choice[index] = Trained(flags, axis, first, channels, None)
        found.append(Scheme(str(name.rstrip(b"\0"), "utf-8"), ram, width, choice))
    return found


_DAMAGED = "the model's section SCHM is damaged: run `tinylearn partition` on it and flash it again"


# ---- Blocks ----------------------------------------------------------------------------------------------------------


class _Block:
    """size bytes that are in use from step first to step last."""

    sizes, shift = None, 0

    def __init__(self, size, first, last=None):
        self.size, self.first, self.last = (size + 3) & ~3, first, first if last is None else last
        self.at = -1

    def until(self, step):
        if step > self.last:
            self.last = step


class _Scratch(_Block):
    """Of a backward. sizes: bytes in which the kernels are fast, somewhat slower, and plain."""

    def __init__(self, sizes, step):
        super().__init__(sizes[0], step)
        self.sizes = sizes

    def resize(self, speed):
        self.size = self.sizes[speed]

    def grow(self, room):
        self.size = min(room, self.sizes[0])


class _Work(_Block):
    """Of a forward, which can do with a half or a quarter, but with no less than `least`: 2^-shift of `all` bytes."""

    def __init__(self, size, least, step):
        super().__init__(size, step)
        self.all, self.most = size, 2 if size >> 2 >= least else 1 if size >> 1 >= least else 0
        self.sizes = size, size >> self.most

    def _take(self, shift):
        self.shift, self.size = shift, ((self.all >> shift) + 3) & ~3

    def resize(self, speed):
        self._take(self.most if speed else 0)

    def grow(self, room):
        while self.shift and ((self.all >> (self.shift - 1)) + 3) & ~3 <= room:
            self._take(self.shift - 1)


def place(blocks):
    """Give every block its place, so that none meets another in time and space; then: bytes in all.

    First fit, in three orders that suit most networks; in each, the block that lies highest comes first in the next
    try. Good enough is what takes at most a 32nd more than the lower bound.
    """
    enough = lower_bound(blocks) * 33 // 32
    best = kept = None
    for key in (_largest, _longest, _earliest):
        order = sorted(blocks, key=key)
        for _ in range(_TRIES):
            total = _first_fit(order)
            if total <= enough:
                return total
            if best is None or total < best:
                best, kept = total, list(order)
            highest = next(block for block in order if block.at + block.size == total)
            order.remove(highest)
            order.insert(0, highest)
    return _first_fit(kept)


_TRIES = 9


def _largest(block):
    return -block.size, block.first


def _longest(block):
    return -block.size * (block.last - block.first + 1), block.first


def _earliest(block):
    return block.first, -block.size


def _first_fit(blocks):
    placed, total = [], 0  # the lowest first
    for block in blocks:
        at, end, i = 0, block.size, len(placed)
        for other in placed:
            if other.first <= block.last and block.first <= other.last:
                if other.at >= end:
                    break
                at = max(at, other.at + other.size)
                end = at + block.size
        while i and placed[i - 1].at > at:
            i -= 1
        placed.insert(i, block)
        block.at = at
        total = max(total, end)
    return total


def _sums(weights):
    """(bytes of the panel of x, bytes of one output channel's sums) of a convolution's gradient to its weights."""
    fours = (weights + 3) // 4
    return 256 * min(fours, 8), 16 * fours + 4


def _panel_bytes(op, quads):
    """Of the scratch of a convolution's forward, with a panel of so many fours of output channels."""
    fours = (op.shape[1] * op.shape[2] + 3) // 4
    return 4 * fours + quads * (32 * fours + 112)


def _start(block):
    return block.at


def _widen(block, end, blocks):
    """Let a block of scratch have more of what is free at its step before `end`, in one piece."""
    at, room, where = 0, block.size, block.at
    for other in sorted([b for b in blocks if b is not block and b.first <= block.first <= b.last], key=_start):
        if other.at - at > room:
            room, where = other.at - at, at
        at = max(at, other.at + other.size)
    if end - at > room:
        room, where = end - at, at
    block.at = where
    block.grow(room)


def lower_bound(blocks):
    """The most bytes in use at one step: no places can take less."""
    return max([sum(b.size for b in blocks if b.first <= step <= b.last) for step in {b.first for b in blocks}] or [0])


# ---- The plan --------------------------------------------------------------------------------------------------------


class Tail:
    """What training a choice takes, before anything is allocated. Sizes and places in bytes.

    first, end       the operators that run for each sample and step: from the first that is trained, or an earlier one
    boundary         tensors that come from the frozen ones: {tensor: offset in a sample's record}; record: its bytes
    blocks           {(kind, index): block} of what lives during one sample, kind: "activation", "gradient" (tensors),
                     "mask", "scratch" (operators: backward), "work" (tensors: scratch of the forward)
    size             of the arena without samples; kept: {(kind, index): place} of what lives throughout, behind the
                     blocks: "rates", "bias rates", "list", "fisher" (operators), "copy" (tensors), "exponents"
    trained, changed tensors that are trained, and with them those of the tail that were before. They change where they
                     lie in the model's file, or have a copy in the arena
    samples          whose feature maps are held, see holding.py
    macs             (frozen forward, tail forward, backward) of one sample
    """

    def __init__(self, model, choice, width=8, first=None):
        self.model, self.choice, self.width = model, choice, width
        self.first, self.end = min(choice) if first is None else first, model.first_of_head
        costs = {op.index: op for op in self._operators(model)}
        self.ops = [costs.get(i) or Operator(model, i) for i in range(self.first, self.end)]
        self.features = model.ends[2]
        self._find_backward()
        self._find_boundary()
        self._find_changed()
        self.blocks, self.samples = {}, 0
        self._forward_blocks()
        self._backward_blocks()
        shared = {id(block): block for block in self.blocks.values()}
        self.live, self._places = list(shared.values()), {}
        self.lay(FAST)
        self.macs = self._macs()

    def _operators(self, model):
        return backward(model)

    def _find_backward(self):
        """Which operators run back, and which of their inputs want a gradient: [(operator, wants x, wants x2)]."""
        depends = {op.x for op in self.ops if self._inspects(op, 0)}  # from all that read it
        for op in self.ops:
            if op.index in self.choice or op.x in depends or op.x2 in depends:
                depends.add(op.y)
        if self.features not in depends:
            raise ValueError("what is to be trained does not lead to the model's features")
        graded, self.back = {self.features}, []
        for op in reversed(self.ops):
            if op.y in graded and op.y in depends:
                x, x2 = op.x in depends, op.x2 in depends
                self.back.append((op, x, x2))
                graded.update([t for t, wants in ((op.x, x), (op.x2, x2)) if wants])

    def _find_boundary(self):
        written = {op.y for op in self.ops}
        self.boundary, self.record = {}, 0
        for op in self.ops:
            for t in (op.x, op.x2):
                if t != _NOBODY and t not in written and t not in self.boundary and self.model.in_arena(t):
                    self.boundary[t] = self.record
                    self.record += (self.model.nbytes(t) + 3) & ~3

    def _time_back(self, op):
        return 2 * self.end - self.first - op.index

    def _forward_blocks(self):
        """Activations, until the last that reads them forward or back; masks; scratch."""
        runs_back = {op.index for op, _, _ in self.back}
        reads = {self.features: self.end - self.first}  # the loss
        for op in self.ops:
            for t in (op.x, op.x2):
                reads[t] = max(reads.get(t, 0), op.index - self.first)
            if op.index in runs_back and op.code == _MAX_POOL:
                reads[op.y] = self._time_back(op)
            if self._inspects(op, 1):
                reads[op.y] = self._time_back(op)
            if op.index in runs_back and self._keeps_input(op):
                reads[op.x] = max(reads[op.x], self._time_back(op))
        self._read_later(reads)
        for op in self.ops:
            now = op.index - self.first
            self._activation(op, now, max(now, reads.get(op.y, now)), reads)
            if op.s != _NOBODY:
                self.blocks["work", op.s] = _Work(self.model.nbytes(op.s), self._least_work(op), now)
            if op.index in runs_back and op.flags & _MASK:
                bits = self.model.nbytes(op.y)
                self.blocks["mask", op.index] = _Block((bits + 7) >> 3, now, self._time_back(op))

    def _least_work(self, op):
        """Bytes of a convolution's panel of eight output channels; other operators want all that they have."""
        return _panel_bytes(op, 2) if op.code == _CONV2D else self.model.nbytes(op.s)

    def panels(self):
        """Of convolutions whose packed weights could stay: [(operator, bytes, whether it stays as it is)]"""
        ops = [op for op in self.ops if op.code == _CONV2D and op.s != _NOBODY]
        return [(op, _panel_bytes(op, (op.shape[0] + 3) // 4), op.index not in self.choice) for op in ops]

    def _keeps_input(self, op):
        return op.code == _MAX_POOL or self._trains(op, WEIGHTS) or self._inspects(op, 0)

    def _read_later(self, reads):
        """What else reads activations on the way back: {tensor: step} to raise."""

    def _activation(self, op, now, last, reads):
        """In place where the operator may, and nobody wants its input afterwards."""
        if op.code in _IN_PLACE:
            for t in (op.x, op.x2):
                block = self.blocks.get(("activation", t))
                if block and block.last == now and reads[t] == now:
                    block.until(last)
                    self.blocks["activation", op.y] = block
                    return
        self.blocks["activation", op.y] = _Block(self.model.nbytes(op.y), now, last)

    def _trains(self, op, flag):
        return op.index in self.choice and self.choice[op.index].flags & flag

    def _inspects(self, op, axis):
        return self._trains(op, FISHER) and self.choice[op.index].axis == axis

    def _backward_blocks(self):
        """Gradients, from the first that writes them to the operator that made their tensor; scratch."""
        size = self.width // 8
        loss = self.end - self.first
        self.blocks["gradient", self.features] = _Block(size * self.model.nbytes(self.features), loss, loss)
        for op, wants_x, wants_x2 in self.back:
            now = self._time_back(op)
            dy = self.blocks["gradient", op.y]
            dy.until(now)
            if wants_x2:
                self._gradient(op.x2, now, size)
            if wants_x and op.code in _IN_PLACE and ("gradient", op.x) not in self.blocks:
                self.blocks["gradient", op.x] = dy
            elif wants_x:
                self._gradient(op.x, now, size)
            sizes = self._scratch(op, wants_x)
            if sizes[0]:
                self.blocks["scratch", op.index] = _Scratch(sizes, now)

    def _scratch(self, op, wants_x):
        """Bytes in which an operator's kernels are fast; somewhat slower; and the plain ones, which take eight times as
        long, do (native_modules/kernels/work.h). Bits are the same."""
        sizes = [0, 0, 0]
        if wants_x:
            sizes = [op.scratch_input] * 3
            if op.code <= _DEPTHWISE:
                _, _, width, channels = self.model.shape(op.x)
                row = 4 * ((width + self.model.shape(op.w)[2] - 1) * channels + 3)
                some = row if op.code == _DEPTHWISE else row + _PANEL
                sizes = [op.scratch_input, min(op.scratch_input, some), 4 * width * channels]
        if self._trains(op, WEIGHTS):
            sizes = [max(pair) for pair in zip(sizes, self._scratch_of_weights(op))]  # noqa: B905 (MicroPython)
        return [(size + 3) & ~3 for size in sizes]

    def _scratch_of_weights(self, op):
        """For the input channels that are trained."""
        _, taps, inputs = op.shape
        count = op.chosen(self.choice[op.index])[1]
        if op.code != _CONV2D:
            return op.scratch_weight, op.scratch_weight, 4 * taps * count
        (panel, row), (all_panel, all_rows) = _sums(taps * count), _sums(taps * inputs)
        rows = max(_ROWS, (op.scratch_weight - all_panel) // all_rows)
        return min(op.scratch_weight, panel + rows * row), min(op.scratch_weight, panel + _ROWS * row), 4 * taps * count

    def lay(self, speed):
        """Lay out for kernels of a speed, FAST, NARROW or PLAIN; what was found for it once is found again."""
        for block in self.live:
            if block.sizes:
                block.resize(speed)
        if speed not in self._places:
            total = place(self.live)
            self._places[speed] = total, array("i", [block.at for block in self.live])
        total, places = self._places[speed]
        for block, at in zip(self.live, places):  # noqa: B905 (MicroPython)
            block.at = at
        self._keep(total)

    def widen(self, size):
        """Then: let kernels have of the scratch that is fast what is left over where self.size may be `size`."""
        end = self.kept["exponents", 0]
        more = max(0, size - self.size) & ~3
        for block in self.live:
            if block.sizes:
                _widen(block, end + more, self.live)
        self._keep(max([block.at + block.size for block in self.live]))

    def speed(self, op):
        """How an operator's kernels run."""
        block = self.blocks.get(("scratch", op.index))
        return (block.size < block.sizes[0]) + (block.size < block.sizes[1]) if block else 0

    def _gradient(self, t, now, size):
        if ("gradient", t) not in self.blocks:
            self.blocks["gradient", t] = _Block(size * self.model.nbytes(t), now)

    def _keep(self, at):
        self.kept = {("exponents", 0): at}
        at += 4 * self.model.tensors
        for index in sorted(self.choice):
            t, rates = self.choice[index], 4 * self.ops[index - self.first].shape[0]
            sizes = (
                ("rates", rates if t.flags & WEIGHTS else 0),
                ("bias rates", rates if t.flags & BIAS else 0),
                ("list", 2 * len(t.list) if t.list else 0),
                ("fisher", 8 * self.ops[index - self.first].channels(t.axis) if t.flags & FISHER else 0),
            )
            for kind, size in sizes:
                if size:
                    self.kept[kind, index] = at
                    at += (size + 3) & ~3
        for t in () if self.model.in_place else self.changed:
            self.kept["copy", t] = at
            at += (self.model.nbytes(t) + 3) & ~3
        self.size = at

    def _find_changed(self):
        """Weights and biases of the tail that are trained, and with them those that are not as they came already."""
        trained, changed = set(), set()
        for op in self.ops:
            flags = self.choice[op.index].flags if op.index in self.choice else 0
            trained.update([t for t, flag in ((op.w, WEIGHTS), (op.b, BIAS)) if flags & flag])
            changed.update([t for t in (op.w, op.b) if t in self.model.changed])
        self.trained, self.changed = sorted(trained), sorted(trained | changed)

    def _macs(self):
        frozen = sum([self.model.operator(i, "<I", 28)[0] for i in range(self.first)])
        back = 0
        for op, wants_x, _ in self.back:
            back += op.macs_input if wants_x else 0
            if self._trains(op, WEIGHTS):
                outputs, inputs = op.chosen(self.choice[op.index])
                back += op.macs_weight * outputs // op.shape[0] * inputs // op.shape[2]
        return frozen, sum([op.macs for op in self.ops]), back

    # ---- What the kernels are given

    def layout(self):
        """All of it that training itself needs, in plain objects: then this module's code can go."""
        tables, lists = [], []
        for index, t in self.choice.items():
            for bias, kind in enumerate(("rates", "bias rates")):
                if (kind, index) in self.kept:
                    tables.append((index, bias, self.kept[kind, index], 4 * self.ops[index - self.first].shape[0]))
            if t.list:
                lists.append((self.kept["list", index], t.list))
        return {
            "first": self.first,
            "end": self.end,
            "width": self.width,
            "size": self.size,
            "record": self.record,
            "boundary": array("h", self.boundary),
            "offsets": array("i", self.boundary.values()),
            "places": self.places(),
            "masks": self.masks(),
            "records": self.records(),
            "exponents": self.kept["exponents", 0],
            "gradient": self.blocks["gradient", self.features].at,
            "trained": [(t, self.model.nbytes(t)) for t in self.trained],
            "changed": [(t, self.kept.get(("copy", t), CHANGED), self.model.nbytes(t)) for t in self.changed],
            "tables": tables,
            "lists": lists,
            "hold": None,
            "keep": 0,
            "memory": None,
            "reserved": None,
            "old": 0,
            "patches": (),
            "features": 1,  # support.HERE
            "idle": False,
            "apart": (),
            "fisher": [
                (index, t.axis, self.ops[index - self.first].channels(t.axis), self.kept["fisher", index])
                for index, t in self.choice.items()
                if t.flags & FISHER
            ],
        }

    def places(self):
        """An int32 per tensor for tl_infer and tl_grad; those of the boundary are the caller's to set. Of scratch the
        two low bits are a shift (kernels/program.h: tl_run)."""
        table = array("i", (-1 for _ in range(self.model.tensors)))
        for (kind, t), block in self.blocks.items():
            if kind in ("activation", "work"):
                table[t] = block.at + block.shift
        for t in self.changed:
            table[t] = self.kept.get(("copy", t), CHANGED)
        return table

    def masks(self):
        """An int32 per operator for tl_infer.run."""
        table = array("i", (-1 for _ in range(self.model.operators)))
        for (kind, i), block in self.blocks.items():
            if kind == "mask":
                table[i] = block.at
        return table

    def records(self):
        """The plan for tl_grad.backward."""
        words, written = array("i"), {self.features}
        for op, wants_x, wants_x2 in self.back:
            t = self.choice.get(op.index)
            flags = t.flags if t else 0
            second = -1
            if wants_x2:
                flags |= ADD2 if op.x2 in written else 0
                second = self.blocks["gradient", op.x2].at
                written.add(op.x2)
            if wants_x:
                flags |= INPUT | (ADD if op.x in written else 0)
                written.add(op.x)
            scratch = self.blocks.get(("scratch", op.index))
            mask = self.blocks.get(("mask", op.index))
            words.extend(array("i", (op.index, flags, self.blocks["gradient", op.y].at)))
            words.extend(array("i", (self.blocks["gradient", op.x].at if wants_x else 0, second)))
            words.extend(array("i", (mask.at if mask else -1,)))
            words.extend(array("i", (scratch.at if scratch else 0, scratch.size if scratch else 0)))
            words.extend(array("i", (t.first, t.count) if t else (0, 0)))
            words.extend(array("i", (self.kept.get(("list", op.index), -1), t.axis if t else 0)))
            words.extend(array("i", (self._kept("rates", op), self._kept("bias rates", op))))
            words.extend(array("i", (self.kept.get(("fisher", op.index), -1), self.width)))  # steps are made at once
        return words

    def _kept(self, kind, op):
        return self.kept.get((kind, op.index), 0)
