"""Few-shot training of a network's tail on the board (TinyTrain, arXiv 2307.09988, algorithm 1; PMF, 2204.07305).

One step: the clean samples run through the tail, and the means of their features become a cosine head's rows; then each
sample's pseudo-query, an augmented view of it, runs through the tail in a random order, its cross-entropy against these
rows goes back, and weights and biases move at once (docs/training.md). Where they move in the model itself they are
read from the flash again if anything is raised before the head is ready: then it predicts as before.
"""

import gc
import sys
from array import array
from math import frexp
from struct import pack_into

import tl_infer
import tl_train

from .model import allocate, fail, free, scratch, unload
from .support import ALL, FLASH, LENT, RAM, TRIAL, Kept, Layout, Support, looks, module, room, settled
from .teaching import (
    _add_own_classes,
    _new_head,
    choose,
    clock,
    each,
    fit_chosen,
    judged,
    length,
    moved,
    possible,
    rows_of,
    seconds_since,
)

# ---- Steps -----------------------------------------------------------------------------------------------------------


class Training:
    """head: with rows of all classes, of which those of the samples are made anew in every step.

    rows: uint8 [count], the row of each sample; take: as model.allocate
    """

    def __init__(self, support, head, rows, seed, take=allocate):
        model, layout = support.model, support.layout
        self.model, self.layout, self.support, self.head, self.rows = model, layout, support, head, rows
        self.grad = gradients(layout.module)
        arena, n = memoryview(support.arena), support.n
        for t, at, size in layout.changed:
            if at >= 0:
                arena[at : at + size] = model.tensor(t)[0]
        self.weights = [
            model.tensor(t)[0] if layout.places[t] < 0 else arena[layout.places[t] : layout.places[t] + size]
            for t, size in layout.trained
        ]
        self.own = model.file if model.in_place else None
        self.fill_tables(arena)
        self.dx = arena[layout.gradient : layout.gradient + n * layout.width // 8]
        at = layout.places[model.ends[2]]
        self.f = arena[at : at + n]
        self.state = array("i", (seed * 2654435761 & 0x3FFFFFFF | 1, layout.exponents, 0, 0, 0, 0, 0, 0))
        self.params = array("i", head.params)
        self.params.append(0)
        # Rows that the loss compares: all, or in continual learning those from the samples' own on.
        self.first_row = min(rows) if layout.hold else 0
        self.params[1] -= self.first_row
        self.w, self.b = memoryview(head.w)[2 * n * self.first_row :], memoryview(head.b)[4 * self.first_row :]
        self.scratch = take(4 * (n + 2 * self.params[1]), "the loss")
        self.row, self.zeros = bytearray(1), bytes(4 * n)
        self.start_from_head()
        if support.old:
            self.rows = bytearray(rows) + bytearray([row for row, _ in support.old])
        self.order = array("h", range(len(self.rows)))
        self.views = support.views
        self.chance = seed % 65536
        self.steps = 0
        self.hold = None  # continual.Hold

    def fill_tables(self, arena):
        """The factors of steps, by the layout's rate, and lists of channels."""
        mantissa, exponent = frexp(self.layout.rate)
        params = array("i", (0, 0, int(mantissa * 16384 + 0.5), exponent - 14))
        for index, bias, at, size in self.layout.tables:
            params[0], params[1] = index, bias
            status = self.grad.rates(params, self.model.file, arena[at : at + size])
            if status:
                fail(status, "training")
        for at, channels in self.layout.lists:
            arena[at : at + 2 * len(channels)] = bytes(channels)

    def start_from_head(self):
        """Take the head's rows as they are but for the samples' classes: those were made by other weights."""
        sums, size = memoryview(self.head.sums), len(self.zeros)
        self.renewed = [(row, sums[row * size : row * size + size]) for row in set(self.rows)]
        self.forget()

    def forget(self):
        """Take away what the rows of the samples' classes were made of."""
        for row, sums in self.renewed:
            self.head.counts[row] = 0
            sums[ALL] = self.zeros

    def keep_view(self):
        """Train without the last of the views: they can watch()."""
        self.views = self.support.views - 1

    def prototypes(self):
        """The head's rows, from the clean samples and the weights as they are."""
        head = self.head
        self.add_up()
        status = tl_train.class_rows(head.params, head.sums, head.counts, head.w, head.b)
        if status:
            fail(status, "training")

    def add_up(self):
        """Sums of the clean samples' features, in the head."""
        head, row = self.head, self.row
        self.forget()
        for i in range(self.support.count):
            self.run_clean(i)
            row[0] = self.rows[i]
            status = tl_train.class_sums(head.params, self.f, row, head.sums, head.counts)
            if status:
                fail(status, "training")

    def run_clean(self, i):
        """A clean sample's features, in self.f. From sample 0 to the last one weights do not move."""
        support, layout = self.support, self.layout
        if i == 0:
            self.keep_panels(False)
        support.find(i, 0)
        status = tl_infer.run(self.model.file, support.arena, layout.first, layout.end, layout.places)
        if status:
            fail(status, "the model")
        if i == 0:
            self.keep_panels(True)

    def keep_panels(self, made):
        """Whether panels that stay are of the weights as they are; of weights that never move they are, once made."""
        places = self.layout.places
        for t, empty, full, stays in self.layout.panels:
            if made:
                places[t] = full
            elif not stays:
                places[t] = empty

    def all_features(self):
        """Features of all clean samples, in the support's."""
        n = self.support.n
        for i in range(self.support.count):
            self.run_clean(i)
            self.support.features[i * n : (i + 1) * n] = self.f

    def let_go(self):
        """Give back the head, whose place the next one may want: no more steps."""
        self.head = self.renewed = self.w = self.b = self.scratch = None

    def step(self):
        """(mean loss, share of pseudo-queries that were right) of one step over all samples."""
        self.prototypes()
        return self.sweep()

    def sweep(self):
        """The same by the head's rows as they are."""
        support, layout, state = self.support, self.layout, self.state
        file, arena, places = self.model.file, support.arena, layout.places
        self.keep_panels(False)
        self._shuffle()
        loss = right = 0
        for i in self.order:
            view, records = 1 + (self.steps + i) % self.views if self.views else 0, layout.records
            if self.hold and i < layout.samples:
                view, records = self.hold.view, self.hold.plan(i)
            support.find(i, view)
            self.params[5] = self.rows[i] - self.first_row
            status = (
                self._forward()
                or self.grad.head_loss(self.params, self.f, self.w, self.b, self.dx, state, self.scratch)
                or self.grad.backward(file, arena, places, records, state, self.own)
            )
            if status:
                fail(status, "training")
            loss += state[5] >> 4
            right += state[6] == self.params[5]
        self.steps += 1
        return loss / (4096 * len(self.order)), right / len(self.order)

    def watch(self):
        """Loss, summed, 12 fractional bits, of the last view of each sample, by the head's rows as they are."""
        support, layout, state = self.support, self.layout, self.state
        file, arena, places, loss = self.model.file, support.arena, layout.places, 0
        for i in range(support.count):
            support.find(i, support.views)
            status = tl_infer.run(file, arena, layout.first, layout.end, places)
            if status:
                fail(status, "the model")
            self.params[5] = self.rows[i] - self.first_row
            status = self.grad.head_loss(self.params, self.f, self.w, self.b, self.dx, state, self.scratch)
            if status:
                fail(status, "training")
            loss += state[5] >> 4
        return loss

    def _forward(self):
        """The tail with masks, and with the patches of what is filtered: a status."""
        layout, file, arena = self.layout, self.model.file, self.support.arena
        at, status = layout.first, 0
        for params in layout.patches:
            status = (
                status
                or tl_infer.run(file, arena, at, params[0], layout.places, layout.masks)
                or self.grad.patches(params, file, layout.places, arena)
            )
            at = params[0]
        return status or tl_infer.run(file, arena, at, layout.end, layout.places, layout.masks)

    def _shuffle(self):
        order, chance = self.order, self.chance
        for i in range(len(order) - 1, 0, -1):
            chance = (chance * 75 + 74) % 65537
            j = chance % (i + 1)
            order[i], order[j] = order[j], order[i]
        self.chance = chance

    # ---- Weights

    def parts(self, buffer):
        """Where each trained tensor lies in a buffer that has them one after the other."""
        buffer, found, begin = memoryview(buffer), [], 0
        for weights in self.weights:
            found.append(buffer[begin : begin + len(weights)])
            begin += (len(weights) + 3) & ~3
        return found

    def copy(self, parts, out):
        """All trained tensors: out to the parts of a buffer, or back from them."""
        for i in range(len(parts)):  # enumerate would allocate
            if out:
                parts[i][ALL] = self.weights[i]
            else:
                self.weights[i][ALL] = parts[i]


# ---- Adapting --------------------------------------------------------------------------------------------------------


class Unfit(Exception):
    """Why what was asked for cannot be trained."""


def tune_first(task, inputs, rows):
    """Of "auto": tune by the first of the methods that fits; None where none does, and the task's verdict says why."""
    for method in task.verdict.methods:
        task.options["method"] = method
        try:
            return tune(task, None, (inputs, rows))
        except (Unfit, MemoryError) as e:
            why = str(e)
            if inputs.held is None:  # and cannot be asked for their features again
                raise
    task.verdict.why += ", but the network is not trained: " + why
    return None


def tune(task, samples, taken=None):
    """The head that model.adapt is about to have, the model's weights changed with it. task: teaching.Task

    taken: of "auto": (Inputs, the row of each sample). Then Unfit is raised where it does not fit.
    """
    model, options, start = task.model, task.options, clock()
    inputs, rows, looking = None, None, looks(options["method"], options["criterion"])
    if options["continual"]:  # what was taught stays beside what is new, under the features that it was taught with
        options["more"], options["head"] = "add", options["head"] or "prototype"
    if looking or not options["filter"]:  # now: what is free is what is left
        gradients(module(model, options))
    if options["filter"]:
        gradients("tl_filter")
    try:
        if taken:
            inputs, rows = taken
            task.renewed = bytearray(set(rows))
            count, ways = len(rows), len(task.labels)
        else:
            count, ways = length(samples), _ways(samples, task.labels)
        if count is None or (options["method"] == "tinytrain" and not taken):
            inputs = room(model, count, options)
            rows = renewed(task, _gather(model, inputs, samples, task.labels))
            count, ways = len(rows), len(task.labels)
        if count == 0:
            raise ValueError("there are no samples: give at least one (x, label) of each class")
        support, looked = _ready(task, count, ways, inputs, rows, looking, start)
        try:
            if inputs:
                support.fill(inputs)
            else:
                rows = renewed(task, _fill(model, support, samples, task.labels))
            if inputs and support.inputs is not inputs and not (taken and inputs.file):
                inputs.close()
            head, steps = _train(task, support, rows)
        finally:
            support.close()
    finally:
        if inputs and not taken:
            inputs.close()
    story = support.layout.story
    pack_into("<fffH", story[3], 0, seconds_since(start), looked, support.layout.rate, steps)  # told by explain.py
    model.story, model.why = story, task.why
    return head


def _ready(task, count, ways, inputs, rows, looking, start):
    """(room for the samples and for training, seconds that it took to find what to train)."""
    try:
        found = _looked(task, inputs, rows) if looking else None
        looked = seconds_since(start)
        layout = lay_out(task, count, ways, inputs, found)
        found = None  # and the code that made it
        return Support(task.model, layout, task.options["seed"], inputs), looked
    except (ValueError, MemoryError, OSError) as e:
        if task.verdict:
            raise Unfit(str(e))
        raise


def _looked(*arguments):
    """What selection.look finds: a function of its own, whose end lets go of that code."""
    from .selection import look

    return look(*arguments, lay_out)


TOLD = 5  # seconds from which on "auto" says so before
_TOLD = "tinylearn: %s, so the network is trained: about %.0f s. time_budget= and method='prototype' take less"


def lay_out(task, count, ways, inputs=None, look=None, inspect=False):
    """What is trained, or inspected before that, and where it lies. The code that finds it does not stay."""
    piece = None
    _unload()  # what model.plan() has left
    for _ in range(PLANS):
        layout = None  # the one before takes room that the next plan wants
        layout = _laid_out(task, count, ways, inputs, look, inspect, piece)
        if free() is None:
            break
        layout.reserved = _reserved([layout.keep] + layout.apart)
        piece = largest_piece(layout.arena)
        if piece >= layout.arena:
            break
        piece, layout.reserved = piece - GAPS, None
    if task.verdict and not inspect and layout.seconds and layout.seconds >= TOLD:
        print(_TOLD % (task.verdict.why, layout.seconds))
    return layout


def _reserved(sizes):
    """Pieces of RAM for what there is beside training's arena, which is not to take the only one that they fit into."""
    try:
        return [bytearray(size) for size in sizes]
    except MemoryError:
        return None


def _laid_out(*arguments):
    """A Layout by _plan: a function of its own, for what is left of planning on the stack would stay."""
    try:
        fields = _plan(*arguments)
    finally:
        _unload()
    return Layout(settled(fields))


def _unload():
    for name in PASSING:
        unload(name)
    gc.collect()


PASSING = "tuning", "refusal", "holding", "continual", "replay", "filtering", "tail", "augment", "selection", "story"
PASSING += ("plan",)
PLANS = 3  # where what is free is not in one piece
GAPS = 512  # bytes that a piece may be smaller by after the next plan


def largest_piece(size):
    """Bytes of RAM that there are in one piece, at most `size`, in steps of an eighth of a kilobyte or so."""
    low, high = 0, size
    while high - low > 128:
        middle = high if low == 0 and high == size else (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle - 1
        gc.collect()
    return low


def _plan(task, count, ways, inputs, look, inspect, piece):
    """The fields of a Layout. piece: bytes that its arena may take, or None"""
    model, options, available = task.model, task.options, free()
    from .tuning import Settings, find, find_inspected

    settings = Settings(model, options)
    settings.piece = piece
    if inputs:
        settings.held = FLASH if inputs.file else RAM
        settings.written = count * inputs.size if inputs.file else 0
        available = available and available + len(inputs.held)
    story = None
    if inspect:
        found = find_inspected(model, count, ways, settings, available)
    else:
        found = find(model, options["method"], count, ways, settings, available, look=look)
        unload("selection")
        from .story import story_of

        story = story_of(found, options["method"], settings)
    found.let_go()
    fields = found.layout()
    fields["seconds"] = found.seconds
    fields["story"] = story
    found.forget()
    return fields


def gradients(name):
    """A native module with gradients; where it is tl_grad, one of the others does as well, if it is there already."""
    for other in ("tl_grad", "tl_channels", "tl_filter") if name == "tl_grad" else ():
        if other in sys.modules:
            name = other
    if name not in sys.modules:
        gc.collect()  # so that it takes the first piece of its size, and the largest stays whole
    try:
        return __import__(name)
    except ImportError:
        raise ValueError("this takes the native module %s, and it is not there: flash the package again" % name)


def _ways(samples, known):
    """How many classes there will be, as far as can be told before the samples are taken."""
    found = {str(label) for label in known}
    if isinstance(samples, (list, tuple)):
        found.update([str(pair[1]) for pair in samples if isinstance(pair, (list, tuple)) and len(pair) == 2])
    return max(2, len(found)) if isinstance(samples, (list, tuple)) else len(found) + 10


def _fill(model, support, samples, labels):
    """Take all samples; then: the class of each."""
    classes = bytearray(support.count)
    taken = 0
    for i, x, k in each(samples, labels):
        if i == support.count:
            raise ValueError("there are more samples than len(samples) said, %d" % support.count)
        _take(model, i, x)
        classes[i] = k
        support.add(i)
        taken = i + 1
    if taken < support.count:
        raise ValueError("there are %d samples, and len(samples) said %d" % (taken, support.count))
    return classes


def _take(model, i, x):
    try:
        model.take(x)
    except (TypeError, ValueError) as e:
        raise type(e)("sample %d: %s" % (i, e))


def _gather(model, inputs, samples, labels):
    """Take all samples; then: the class of each."""
    classes = bytearray()
    for i, x, k in each(samples, labels):
        _take(model, i, x)
        inputs.put(i, model.x)
        classes.append(k)
    return classes


def renewed(task, classes):
    """The row of each sample in the head that is to be, which forgets what was known of these rows."""
    rows = rows_of(task, classes) if classes else classes
    task.renewed = bytearray(set(rows))
    return rows


def started(task, support, rows):
    """Training with a head of all classes, before its first step."""
    take, layout = allocate, support.layout
    task.lent.first = len(support.features) if layout.features == LENT else 0
    if layout.idle:
        task.lent.restart()
        take = task.lent.take
    training = Training(support, _new_head(task, "cosine", take), rows, task.options["seed"], take)
    if task.source:
        training.add_up()
        _add_own_classes(task.model, training.head, task.source)
        training.start_from_head()
    return training


def _train(task, support, rows):
    """(the head, steps that were made)"""
    model, layout = task.model, support.layout
    name = scratch(model.path or "tinylearn", model.mapped)[2] if layout.cache == FLASH else None
    before = Kept(model, list(model.changed), name)
    changed = sorted(set(model.changed) | {t for t, _ in layout.trained})
    try:
        if model.in_place:
            model.mark(changed)
        head, kept, now, steps = _made(task, support, rows, before, changed)
        head = moved(head)  # to where the arena was
        if not kept:
            return head, steps
        if now:
            model.change(changed)
            before.put()
            for t, content in now:
                model.tensor(t)[0][ALL] = content
        if task.memory and layout.first < task.memory[0]:
            task.memory = None  # what it keeps comes of weights that have changed
        # With the weights: whatever is raised from here on, they fit together.
        model.head, model.held, model.memory = head, task.held, task.memory
        return head, steps
    except BaseException:
        _bring_back(model, before)
        raise
    finally:
        task.spare = None
        before.close()


def _made(task, support, rows, before, changed):
    """Train; then: (the head, whether what was trained is kept, weights to put into the model, steps that were made).

    The support is closed then. A function of its own, for what is left on the stack would keep the arena.
    """
    training, layout, now = started(task, support, rows), support.layout, None
    if layout.rates:
        _find_rate(training, before, changed)
    method = _taught(training, task, rows)
    if not method:
        _undo(training, before)
        task.renewed = ()
    elif not task.model.in_place:
        now = [(t, bytes(training.weights[i])) for i, (t, _) in enumerate(layout.trained)]
    steps, training = training.steps, None  # and its head: room for the one that is to be
    head = fit_chosen(task, method or task.verdict.head, support.features, rows, passing=True)
    task.spare = None
    support.close()
    return head, bool(method), now, steps


def _taught(training, task, rows):
    """Train; then: the head to make of the features, or None where "auto" finds that nothing is gained."""
    verdict, support, model, heads = task.verdict, training.support, task.model, possible(task, len(rows))
    features, watched = support.features, verdict and verdict.right is None
    x = model.x
    if support.layout.idle:
        model.x = None  # the model's arena is lent
    try:
        fell = _watched(training, task) if watched else _steps(training, task)
    finally:
        model.x = x
    if fell or not watched:
        training.all_features()
    training.let_go()
    task.spare = memoryview(support.arena)[: support.layout.size if model.in_place else support.layout.exponents]
    if watched:
        return verdict.head if fell else None
    if not verdict:
        return heads[0] if len(heads) == 1 else choose(task, features, rows, heads)
    order = bytes(rows)
    method, right = judged(task, features, rows, heads)
    task.why = "%s, so the network is trained: %d are right then" % (verdict.why, right)
    if right >= verdict.right:
        task.why += "; head: " + method
        return method
    rows[ALL] = order  # of the features that are made again
    task.why += ", so it stays as it is; head: " + verdict.head
    return None


def _bring_back(model, before):
    """Weights as they were, though Ctrl-C may be pressed again meanwhile: terminals and tools send it twice."""
    while True:
        try:
            model.change(before.tensors)
            return before.put()
        except KeyboardInterrupt:
            pass


def _undo(training, before):
    """Weights and features as they were before."""
    _weights_back(training, before)
    training.all_features()


def _weights_back(training, before):
    model = training.model
    if model.in_place:
        _bring_back(model, before)
    else:
        for i, (t, _) in enumerate(training.layout.trained):
            training.weights[i][ALL] = model.tensor(t)[0]


def _find_rate(training, before, changed):
    """Train for TRIAL steps at each rate, always from the same weights, and take that which then has the lowest loss on
    a view that was not trained on; where there is but one view, on the samples themselves."""
    layout, arena, best = training.layout, memoryview(training.support.arena), None
    if training.support.views:
        training.keep_view()
    for rate in layout.rates:
        layout.rate = rate
        training.fill_tables(arena)
        for _ in range(TRIAL):
            training.step()
        training.prototypes()
        loss = training.watch()
        if best is None or loss < best:
            best, found = loss, rate
        _weights_back(training, before)
        if training.model.in_place:
            training.model.mark(changed)
    layout.rate = found
    training.fill_tables(arena)
    training.views, training.steps = training.support.views, 0


def _best_weights(training):
    """Room for the trained tensors, in parts; None where none is planned, or there is none in one piece."""
    try:
        return training.parts(allocate(training.layout.best, "the best weights")) if training.layout.best else None
    except MemoryError:
        return None


def _steps(training, task):
    """Train until the loss has not fallen for a while. Leaves the weights of the lowest."""
    best, since, layout = None, 0, training.layout
    weights = _best_weights(training)
    if layout.hold and layout.samples:
        from .continual import Hold

        training.hold = Hold(training, layout.hold[3])
    for step in range(layout.steps):
        loss, accuracy = training.step()
        if task.options["on_step"]:
            task.options["on_step"](step + 1, loss, accuracy)
        if best is None or loss < best:
            best, since = loss, 0
            if weights:
                training.copy(weights, True)
        else:
            since += 1
            if since == layout.patience:
                break
    if since and weights:
        training.copy(weights, False)
    if layout.hold:
        from .continual import held_after

        task.held = held_after(training, layout.hold[1], layout.hold[2])
        training.hold = None
        unload("continual")
    if layout.keep:
        from .replay import memory_after

        task.memory = memory_after(training)
        unload("replay")


def _watched(training, task):
    """Train. Whether those who watch, a view of each sample that is not trained on, gain from it."""
    layout, verdict = training.layout, task.verdict
    training.keep_view()
    training.prototypes()
    first = training.watch()
    for step in range(layout.steps):
        loss, accuracy = training.sweep()
        if task.options["on_step"]:
            task.options["on_step"](step + 1, loss, accuracy)
        training.prototypes()
    last = training.watch()
    count = 4096 * training.support.count
    task.why = "%s, so the network is trained; what watches goes from a loss of %.2f to one of %.2f in %d steps" % (
        verdict.why,
        first / count,
        last / count,
        layout.steps,
    )
    task.why += ("" if last < first else ": nothing is gained, so it stays as it is") + "; head: " + verdict.head
    return last < first
