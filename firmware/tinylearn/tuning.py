"""What a method trains of a network's tail, and how much of it within the budgets. Loaded while adapt plans.

Methods: "bias" (biases of the last layers), "scheme" (a sparse update that the host has put into the model: layers and
parts of their channels), "full" (all weights and biases of the last layers), "tinytrain" (what selection.py finds).
"""

from .head import head_bytes, work_bytes
from .model import PACKED, unload
from .support import FLASH, HERE, LENT, NOWHERE, RAM, RECOMPUTE, TRIAL, augmentation, looks, module, scarce
from .tail import (
    BIAS,
    FAST,
    FISHER,
    INPUT,
    NARROW,
    PLAIN,
    WEIGHTS,
    Tail,
    Trained,
    forget_operators,
    schemes,
    trainable,
    usual,
    whole,
)

STEPS, VIEWS, WIDTH = 40, 4, 8
RATE, RATES = 0.02, {"bias": 0.1}  # biases want larger steps, and continual learning smaller ones: docs/training.md
CAREFUL = 0.01
FIND = "find"  # as a rate: each of the card's times these is tried, for TRIAL steps
FACTORS = (1, 4, 0.25)
RATIO, COMPUTE = 0.75, 1  # of "tinytrain": share of a layer's channels, and of the work of going back all the way
CRITERIA = "fisher", "both", "fisher/memory", "fisher/compute", "l2", "random"  # the first: where nobody says
AXES = "input", "output"
PATIENCE = 10  # steps without a lower loss after which training ends
LEAST_STEPS = 5  # that a time budget leaves
USUAL = {"bias": 42 * 1024, "scheme": 88 * 1024}  # bytes of RAM, where nobody names a budget: what little RAM is
SPARE = 16 * 1024  # bytes of RAM that are not planned with: what Python allocates meanwhile, and gaps between it
LEAST_SPARE = 4 * 1024  # the same where somebody names a budget, who is taken to know what there is


class Settings:
    """What adapt was told, else what the model's card says (META "train", "augment"), else the defaults.

    options: of adapt. The card's rate is a number, or {method: number}.
    find: the rate is to be found by trying some
    freeze: the first operator that may be trained
    keep: bytes of a memory for replay, old: how many samples it has, begin: the operator that reads them, or None;
    loaded: bytes of it that there are
    steps, rate, views, width; augment: params of tl_train.augment or None; layers: at most so many, or None
    piece: bytes of RAM in one piece that an arena may take, or None
    filter: side of the patches that gradients are summed over, or None
    of "tinytrain": ratio, compute, axis (0 input, 1 output channels), criterion
    usual: bytes of RAM that the method keeps to, as long as it can, where there is no budget
    module: the native one. looks: whether channels are looked at first. held: where the samples themselves are kept
    besides, RAM, FLASH or None. written: bytes of them that are in a file already. before: multiply-accumulates that
    are made already, and their seconds
    """

    def __init__(self, model, options):
        card = model.meta.get("train")
        card = card if isinstance(card, dict) else {}
        found = [options.get(name) for name in ("steps", "views", "width")]
        defaults = (STEPS, VIEWS, WIDTH)
        for i, name in enumerate(("steps", "views", "width")):
            if found[i] is None:
                found[i] = card.get(name, defaults[i])
        self.steps, self.views, self.width = found
        self.find = options.get("rate") == FIND
        usual = CAREFUL if options.get("continual") else RATES.get(options.get("method"), RATE)
        self.rate = _rate(None if self.find else options.get("rate"), card.get("rate"), options.get("method"), usual)
        self.layers, self.scheme, self.cache = [options.get(name) for name in ("layers", "scheme", "cache")]
        self.continual, self.hold, self.freeze = options.get("continual"), None, 0
        self.keep, self.old, self.begin, self.loaded = 0, 0, None, 0
        self.budget, self.time_budget = options.get("budget"), options.get("time_budget")
        self.usual = USUAL.get(options.get("method")) if self.budget is None else None
        self.module, self.looks = module(model, options), looks(options.get("method"), options.get("criterion"))
        self.held, self.written, self.before, self.seed = None, 0, (0, 0), options.get("seed", 1)
        self._set_selection(options)
        self.filter, self.piece = options.get("filter") or None, None
        self._check()
        if self.continual:
            self.freeze = card.get("freeze", 0)
            self._set_continual(model, options.get("hold"))
        self.augment = augmentation(model, options.get("augment")) if self.views else None
        if self.augment is None:
            self.views = 0

    def _set_continual(self, model, asked):
        if self.continual == "lightcl":
            from .holding import options

            self.hold = options(asked)
            return
        from .replay import options, samples

        self.keep = options(asked)
        if model.head and model.memory:
            self.begin, self.old = model.memory[0], len(samples(model.memory))
            self.loaded, self.freeze = len(model.memory[1]), max(self.freeze, self.begin)

    def _set_selection(self, options):
        ratio, compute, axis, criterion = [options.get(name) for name in ("ratio", "compute", "axis", "criterion")]
        self.ratio = _share("ratio", RATIO if ratio is None else ratio)
        self.compute = _share("compute", COMPUTE if compute is None else compute)
        self.axis = AXES.index(_one_of("axis", AXES, AXES[0] if axis is None else axis))
        self.criterion = _one_of("criterion", CRITERIA, CRITERIA[0] if criterion is None else criterion)

    def _check(self):
        if self.filter:
            from .filtering import SIZES

            if self.filter not in SIZES or self.continual:
                raise ValueError("filter is 2, 4 or None, and None with continual, not %r" % (self.filter,))
        _whole_number("steps", self.steps, 1, 100000)
        _whole_number("views", self.views, 0, 64)
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 1e-6 <= self.rate <= 1000:
            raise ValueError("rate is a number between 1e-6 and 1000, or 'find', not %r" % (self.rate,))
        if self.width not in (8, 16):
            raise ValueError("width, of the gradients, is 8 or 16, not %r" % (self.width,))
        if self.layers is not None:
            _whole_number("layers", self.layers, 1, 4096)
        if self.cache not in (None, RAM, FLASH, RECOMPUTE):
            raise ValueError("cache is 'ram', 'flash', 'recompute' or None, not %r" % (self.cache,))
        if self.budget is not None:
            _whole_number("budget, in bytes,", self.budget, 1, 1 << 30)
        if self.time_budget is not None and not (
            isinstance(self.time_budget, (int, float)) and 0 < self.time_budget <= 1e6
        ):
            raise ValueError("time_budget is a number of seconds above 0, not %r" % (self.time_budget,))


def _rate(asked, card, method, usual):
    if asked is not None:
        return asked
    if isinstance(card, dict):
        card = card.get(method)
    return usual if card is None else card


def _share(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ValueError("%s is a share, above 0 and at most 1, not %r" % (name, value))
    return value


def _one_of(name, known, value):
    if value not in known:
        raise ValueError("%s is one of '%s', not %r" % (name, "', '".join(known), value))
    return value


def _whole_number(name, value, least, most):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError("%s is a whole number between %d and %d, not %r" % (name, least, most, value))


# ---- What fits -------------------------------------------------------------------------------------------------------


def choices(model, method, settings):
    """(choice, width) of what a method may train, the most first."""
    if method == "scheme":
        for choice, width in _of_schemes(model, settings):
            choice = {index: choice[index] for index in choice if index >= settings.freeze}
            if choice:
                yield choice, width
        return
    flags = BIAS if method == "bias" else BIAS | WEIGHTS
    layers = inspected(model, settings)
    for k in range(len(layers), 0, -1):
        yield {op.index: whole(flags & op.flags) for op in layers[:k]}, settings.width


def _of_schemes(model, settings):
    found = known = schemes(model)
    if settings.scheme is not None:
        found = [scheme for scheme in known if scheme.name == settings.scheme]
    if not known:
        raise ValueError("this model has no scheme: `tinylearn partition` writes some")
    if not found:
        names = "', '".join([scheme.name for scheme in known])
        raise ValueError("this model has no scheme %r, it has '%s'" % (settings.scheme, names))
    found.sort(key=_most_bytes)
    for scheme in found:
        yield scheme.choice, scheme.width
    choice = dict(found[-1].choice)  # less than the least: without its first layers
    while len(choice) > 1:
        del choice[min(choice)]
        yield dict(choice), found[-1].width


def _most_bytes(scheme):
    return -scheme.bytes


class Fit:
    """A tail with the way its samples are kept, and what that takes.

    bytes: of RAM, all of adapt but code: the arena, samples, head. heap: what of it is beyond what is loaded, for the
    model's own arena is idle while nothing runs there. flash: bytes of a file
    memory: bytes of samples that are kept for later tasks, beside those that are there
    best: bytes of a copy of the best weights, where there is room for it; choosing: of what choosing a head takes,
    where something is trained and not only inspected
    pace: plan.Pace, or None; first, step, seconds: what samples, a step, the whole run take at it
    order: of "tinytrain": [(score, layer)]
    panels: [(operator, scratch, bytes, whether its weights stay as they are)] of packed weights that stay where they
    are made, behind all else of the arena; panel_bytes: of them; saved: seconds of a step
    """

    panels, panel_bytes, saved = (), 0, 0

    def __init__(self, model, tail, count, ways, cache, settings, keep_best, pace=None):
        n, record = len(model.f), tail.record
        self.tail, self.count, self.cache, self.settings, self.steps = tail, count, cache, settings, settings.steps
        self.views = settings.views
        slots = count * (1 + self.views)
        trained = sum([(model.nbytes(t) + 3) & ~3 for t in tail.trained])
        self.best = trained if keep_best else 0
        again = sum([model.nbytes(t) for t in model.changed]) if trained else 0  # as they are, if anything goes wrong
        self.records = record * (slots + bool(settings.old) if cache == RAM else 1)
        held = settings.held or (RAM if cache == RECOMPUTE else None)
        self.inputs = len(model.x) * (1 + (count if held == RAM else 0))
        self.flash = (slots * record if cache == FLASH else 0) + (count * len(model.x) if held == FLASH else 0)
        if cache == FLASH:
            self.flash, again = self.flash + again, 0
        self.head = head_bytes(n, ways) + 4 * (n + 2 * ways) + 4 * ways * n  # and the sums that each step starts from
        self.choosing = work_bytes("auto", n, ways, count) if trained else 0
        moved = 0 if model.in_place else trained
        all_features = (tail.size + count * n + 3) & ~3
        self.memory = _memory(settings, record, count) if trained else 0
        beside = self.records + self.inputs + again + self.memory + (settings.loaded if trained else 0)
        self.bytes = all_features + beside + max(self.head + self.best, self.choosing + moved)
        self._lend(trained, model.forward_bytes(), ways, count * n)
        self.arena = (all_features if self.features == HERE else tail.size) + self.records
        self.heap = self.arena + self.inputs + again + self.memory + 20 * ways
        self.heap += max(sum(self.apart) + self.best, moved)
        frozen, forward, back = tail.macs
        self.first_macs = frozen * slots + settings.before[0]
        self.step_macs = count * (2 * forward + back) + settings.old * (forward + back)
        if cache == RECOMPUTE:
            self.step_macs += 2 * count * frozen
        if settings.find and trained:  # steps, and what watches them
            self.first_macs += len(FACTORS) * (TRIAL * self.step_macs + 2 * count * (frozen + forward))
        self.first = self.step = self.order = None
        if pace:
            self.forecast(pace)

    def _lend(self, trained, room, ways, all_features):
        """Find what lies in the model's own arena, of `room` bytes: a head, and the features of all samples. idle:
        whether it is idle in each step; apart: buffers of the head that lie on the heap."""
        n = self.tail.model.nbytes(self.tail.features)
        buffers = 4 * ways * n, 2 * ways * n, 4 * (n + 2 * ways)
        self.idle, self.features, self.apart = trained and self.cache != RECOMPUTE, NOWHERE, []
        if trained:
            lent = self.idle and all_features + sum(buffers) <= room
            self.features = LENT if lent else HERE
        room -= all_features if self.features == LENT else 0
        for size in buffers:
            if self.idle and size <= room:
                room -= size
            else:
                self.apart.append(size)

    def forecast(self, pace):
        """Reckon the seconds."""
        frozen, forward, back = _seconds(self.tail, pace.times)
        records = self.count * (1 + self.views)
        before = self.settings.before[1] or PLANNING / pace.hz  # once, also where the samples are looked at
        views = VIEW * self.count * self.views * len(self.tail.model.x) / pace.hz
        self.first = before + views + frozen * records + forward * self.count
        if self.cache == FLASH:
            self.first += records * (RECORD + RECORD_BYTE * self.tail.record)
        old = self.settings.old
        self.step = self.count * (2 * forward + back) + old * (forward + back) + (self.count + old) * AROUND / pace.hz
        if self.cache == RECOMPUTE:
            self.step += 2 * self.count * frozen
        self.saved = sum([self._runs(panel[3]) * _packing(self.tail, panel[0], pace.times) for panel in self.panels])
        self.step -= self.saved
        if self.settings.find and self.tail.trained:
            self.first += len(FACTORS) * (TRIAL + 1) * self.step

    @property
    def seconds(self):
        return None if self.step is None else self.first + self.steps * self.step

    def widen(self, more, pace):
        """Let kernels in little scratch have up to so many bytes more."""
        before = self.tail.size
        self.tail.widen(before + more)
        self._grow(self.tail.size - before, pace)

    def keep(self, room, pace):
        """Let packed weights stay in up to so many bytes, those first that save most for theirs."""
        found = [
            (-(self._runs(stays) * op.parameters() << 10) // size, op.index, op.s, size, stays)
            for op, size, stays in self.tail.panels()
        ]
        for panel in sorted(found):
            if self.panel_bytes + panel[3] <= room:
                self.panels += (panel[1:],)
                self.panel_bytes += panel[3]
        self._grow(self.panel_bytes, pace)

    def _runs(self, stays):
        """Forward runs of a step that find a panel made: all, or, of what each sample moves, the clean but the first"""
        return 2 * self.count if stays else self.count - 1

    def _grow(self, more, pace):
        self.arena, self.bytes, self.heap = self.arena + more, self.bytes + more, self.heap + more
        if pace:
            self.forecast(pace)

    def let_go(self):
        """Forget what only finding a choice wanted: what layout() makes takes room."""
        self.order = None
        forget_operators()

    def layout(self):
        """The fields of a support.Layout."""
        fields, settings = self.tail.layout(), self.settings
        fields.update({"count": self.count, "views": self.views, "cache": self.cache, "steps": self.steps})
        fields.update({"rate": settings.rate, "augment": settings.augment, "best": self.best})
        fields.update({"patience": PATIENCE, "module": self._module(), "ratio": settings.ratio})
        fields["hold"], fields["rates"] = settings.hold, ()
        fields["keep"], fields["old"] = self.memory, settings.old
        if settings.find:
            fields["rates"] = [factor * settings.rate for factor in FACTORS]
        fields["macs"], fields["arena"] = self.macs(), self.arena
        fields["features"], fields["idle"], fields["apart"] = self.features, self.idle, self.apart
        at, fields["panels"] = self.arena - self.panel_bytes, []
        for _, scratch, size, stays in self.panels:
            fields["places"][scratch] = place = at + TO_THE_END
            fields["panels"].append((scratch, place, place + PACKED, stays))
            at += size
        return fields

    def _module(self):
        return "tl_filter" if self.settings.filter and self.tail.trained else self.settings.module

    def macs(self):
        """Of the whole run."""
        return self.first_macs + self.steps * self.step_macs

    def forget(self):
        """Let go of everything: a stray pointer on a board's stack keeps an object from being collected."""
        for name in ("ops", "back", "blocks", "kept", "live", "choice", "boundary"):
            setattr(self.tail, name, None)


def _memory(settings, record, count):
    """Bytes of what is kept of samples for later tasks."""
    if not settings.keep:
        return 0
    from .replay import room

    return room(record, settings.keep, settings.old + count)


# Measured on the emulated Pico (benchmarks/forecast_factors.py): an operator's backward beside its forward, what all
# operators share, what a gradient to its input and one to all of its weights add, and how much longer int16 takes.
# Cycles of a sample in a step beside its operators: loss, Python, finding it twice. Seconds of a record that goes to
# the flash, and of each of its bytes. Cycles until the first sample, which Python plans and loads its code in, and of
# each value of a view.
BACK, BACK_INPUT, BACK_WEIGHTS, WIDER = 0.16, 1.07, 1.18, 1.75
SLOWER = 1, 1.34, 12  # by tail.Tail.speed
AROUND, RECORD, RECORD_BYTE = 1.2e6, 3e-3, 13e-6
PLANNING, VIEW = 330e6, 600
PACKING = 2.6  # products that take as long as packing a weight for them
TO_THE_END = 3  # of a scratch's place, native_modules/kernels/program.h


def _seconds(tail, times):
    """(frozen forward, tail forward, backward) of one sample, from each operator's forward."""
    back = 0.0
    for op, wants_x, _ in tail.back:
        part = BACK_INPUT if wants_x else 0
        t = tail.choice.get(op.index)
        if t and t.flags & WEIGHTS:
            outputs, inputs = op.chosen(t)
            part += BACK_WEIGHTS * outputs * inputs / (op.shape[0] * op.shape[2])
        part *= op.share * (WIDER if tail.width == 16 else 1) * SLOWER[tail.speed(op)]
        back += times[op.index] * (BACK + part)
    return sum(times[: tail.first]), sum(times[tail.first : tail.end]), back


def _packing(tail, index, times):
    """Seconds of an operator's forward in which it packs its weights."""
    op = tail.ops[index - tail.first]
    packing = PACKING * op.parameters()
    return times[index] * packing / (packing + op.macs)


class Budgets:
    """What fits into RAM, flash and time. Where nothing did: what the least would have taken.

    bytes: that may be worked in, or None; free: that may be taken of the heap, `spare` of it being left, or None
    speed: of the slowest kernels that will do, so that there is room for what is trained
    closest: of what there was no RAM for, that which takes the least: ((whether its file has no room, what counts of
    its RAM), choice, the Fit's bytes, heap, arena). least_flash: bytes of a file, where RAM would do; quickest: seconds
    where room would
    """

    def __init__(self, model, count, ways, settings, available=None, pace=None):
        self.model, self.count, self.ways, self.settings = model, count, ways, settings
        self.pace = pace
        self.bytes, self.flash, self.free = settings.budget, None, None
        self.spare = SPARE if self.bytes is None else LEAST_SPARE
        if available is not None:
            self.free = available - self.spare
        if pace is None and settings.time_budget is not None:
            self.pace = clocked(model)
        self.speed = NARROW
        self.closest = self.least_flash = self.quickest = None

    def search(self, look):
        """What look() finds, or None. What is trained comes before fast kernels, so a larger budget trains no less; but
        by plain ones, which take many times as long, only what was closest to fitting where nothing else did."""
        found = look()
        if found or self.quickest is not None:
            return found
        self.speed = PLAIN
        return look()

    def fit(self, choice, width, hurry=True, inspect=False):
        """The Fit of a choice, kept in the best way that there is room and time for, or None. hurry: in fewer steps, if
        need be. inspect: of a pass over the samples, however long that takes."""
        if self.speed == PLAIN and (not self.closest or choice != self.closest[1]):
            return None
        try:
            tail = Tail(self.model, choice, width) if inspect else _tail(self.model, choice, width, self.settings)
            for cache in (RECOMPUTE,) if inspect else _ways_to_keep(self.settings, tail, self.count):
                fit = self._laid_out(tail, cache)
                if fit and (inspect or self._in_time(fit, hurry)):
                    return fit
        except MemoryError:  # to plan so much
            pass
        return None

    def _laid_out(self, tail, cache):
        """The Fit of one way to keep samples, for kernels as fast as there is room for, or None. The best weights are
        kept where there is room."""
        for speed in (FAST, self.speed):
            tail.lay(speed)
            for keep_best in (True, False) if tail.trained else (False,):
                fit = Fit(self.model, tail, self.count, self.ways, cache, self.settings, keep_best, self.pace)
                if self.in_memory(fit):
                    if speed:
                        fit.widen(self._left_over(fit), self.pace)
                    return fit
        return None

    def _left_over(self, fit):
        """Bytes of RAM, below 0 where there is no room."""
        limits = (self.bytes, fit.bytes), (self.free, fit.heap), (self.settings.piece, fit.arena)
        return min([limit - taken for limit, taken in limits if limit is not None] or [0])

    def in_memory(self, fit):
        """Whether there is room for it. Notes what it would have taken."""
        if fit.flash and self.flash is None:
            self.flash = _free_flash(self.model)
        written = fit.flash - self.settings.written
        enough = written <= (self.flash or 0)
        if self._left_over(fit) < 0:
            key = not enough, fit.heap if self.settings.budget is None and self.free is not None else fit.bytes
            if self.closest is None or key < self.closest[0]:
                self.closest = key, fit.tail.choice, fit.bytes, fit.heap, fit.arena
            return False
        if not enough and (self.least_flash is None or written < self.least_flash):
            self.least_flash = written
        return enough

    def keep_panels(self, fit):
        """In half of what room is left: what is allocated beside the arena wants pieces of it, too."""
        fit.keep(self._left_over(fit) // 2, self.pace)

    def _in_time(self, fit, hurry):
        limit = self.settings.time_budget
        if limit is None or fit.seconds <= limit:
            return True
        steps = int((limit - fit.first) / fit.step)
        if hurry and steps >= LEAST_STEPS:
            fit.steps = steps
            return True
        if self.quickest is None or fit.first + LEAST_STEPS * fit.step < self.quickest:
            self.quickest = fit.first + LEAST_STEPS * fit.step
        return False


def find(model, method, count, ways, settings, available=None, pace=None, look=None):
    """The Fit of the most that a method can train within the budgets. MemoryError or ValueError with the numbers.

    available: bytes of RAM, or None; pace: plan.Pace, or None: measured where there is a time budget; look: what
    selection.look has found, or None
    """
    budgets = Budgets(model, count, ways, settings, available, pace)
    first = None
    if method == "tinytrain":
        from .selection import select, stand_in

        if not look and settings.looks:  # a forecast
            limit = budgets.free if budgets.bytes is None else budgets.bytes
            settings.held = FLASH if settings.cache is None and scarce(model, count, limit) else RAM
            first = find_inspected(model, count, ways, settings, available, budgets.pace)
        look = look or stand_in(model, settings, first)
        found = budgets.search(lambda: select(budgets, look))
    else:
        found = budgets.search(lambda: _most(budgets, method))
    if not found:
        _refused(budgets, method)
    budgets.keep_panels(found)
    if first:
        found.bytes, found.heap = max(found.bytes, first.bytes), max(found.heap, first.heap)
    if settings.filter and not found.tail.filtered:
        from .filtering import NOTHING

        raise ValueError(NOTHING % settings.filter)
    return found


def _refused(budgets, method):
    from .refusal import refuse

    refuse(budgets, method)


def _most(budgets, method):
    """The Fit of the first choice that fits into the usual budget; else of the last that fits at all; or None."""
    model, settings, last = budgets.model, budgets.settings, None
    budgets.bytes = settings.usual or settings.budget
    for choice, width in choices(model, method, settings):
        last = choice, width
        found = budgets.fit(choice, width)
        if found:
            return found
    if not last:
        raise ValueError(_FROZEN % settings.freeze)
    budgets.bytes = settings.budget
    return budgets.fit(*last) if settings.usual else None


_FROZEN = "a scheme's layers lie before operator %d, where what may be trained in these tasks begins: take 'full'"


def find_inspected(model, count, ways, settings, available=None, pace=None):
    """The Fit of one pass over the samples that inspects as many of the last layers as there is room for."""
    budgets, layers = Budgets(model, count, ways, settings, available), inspected(model, settings)

    def most():
        for k in range(len(layers), 0, -1):
            choice = {op.index: Trained(FISHER, axis_of(op, settings), 0, 0, None) for op in layers[:k]}
            found = budgets.fit(choice, settings.width, inspect=True)
            if found:
                return found
        return None

    found = budgets.search(most) or _refused(budgets, "tinytrain")
    found.steps = 1
    if pace:
        found.forecast(pace)
    return found


def inspected(model, settings):
    """Layers that may be chosen, last first; of continual learning none before the freeze point."""
    layers = trainable(model)[: settings.layers] if settings.layers else usual(model)
    return [op for op in layers if op.index >= settings.freeze] or layers[:1]


def axis_of(op, settings):
    """Whose channels are chosen: output ones also where no gradient leads to the input."""
    return settings.axis if op.flags & INPUT and op.shape[2] > 1 else 1


def _tail(model, choice, width, settings):
    if settings.filter:
        from .filtering import Filtered

        return Filtered(model, choice, width, settings.filter)
    if settings.continual != "lightcl":
        return Tail(model, choice, width, settings.begin)
    from .holding import Holding

    return Holding(model, choice, width)


def _ways_to_keep(settings, tail, count):
    """Where samples are kept, what is best first. References of what is held are kept for fewer of them, where there is
    no room for as many as there should be."""
    held = min(settings.hold[0], count) if settings.hold else 1
    while held:
        if settings.hold:
            tail.keep(held)
        for cache in (RAM, FLASH, RECOMPUTE) if settings.cache is None else (settings.cache,):
            yield cache
        held = held // 2 if settings.hold and tail.reference else 0


def _free_flash(model):
    """Bytes that a file may take."""
    import os

    try:
        _, block, _, blocks = os.statvfs((model.path or "").rpartition("/")[0] or ("/" if model.path else "."))[:4]
    except (OSError, AttributeError):
        return 0
    return max(0, block * blocks - 16 * 1024)


def clocked(model):
    """plan.Pace, measured."""
    from .plan import measured

    unload("plan")  # RAM is short until something is chosen
    return measured(model)
