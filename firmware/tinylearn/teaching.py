"""Teaching: the frozen network runs once per example, a head is made of its features. Loaded by the first Model.adapt.

Nothing of the model changes until the new head is ready: whatever is raised here, it predicts as before.
"""

import sys
import time
from array import array
from struct import unpack_from

import tl_train

from .head import (
    AUTO,
    CLOSED,
    FOLDS,
    HEADS,
    TAILS,
    Head,
    check_method,
    head_bytes,
    matrix_bytes,
    training_bytes,
    work_bytes,
)
from .model import allocate, brought, fail, float_parts, often, unload

STEPS, RATE = 40, 100
MAX_CLASSES, MAX_SAMPLES, MAX_FEATURES = 256, 16000, 32768
_CONV2D, _FULLY_CONNECTED = 1, 3


class Task:
    """What is being taught: all that the heads for it have in common, whatever samples they are made of."""

    def __init__(self, model, options):
        before = model.head
        self.model, self.before, self.options, self.start = model, before, options, clock()
        self.labels = list(before.labels) if before else []
        self.owners = bytearray(before.owners) if before else bytearray()
        self.source = None  # rows of the model's own classifier that stay, see _own_rows
        self.held = model.held  # what model.adapt is about to hold, see continual.py; and to keep: replay.py
        self.memory = model.memory
        self.renewed = ()  # rows that what was known of them does not count for: the network has changed
        self.story = self.why = None  # of what was trained, and of why: for explain()
        self.verdict = None  # of "auto"
        self.lent = Lent(model)  # what heads may be made in, where they do not stay
        self.spare = None  # the same, for scratch: of a large arena that lies between it and any room


class Verdict:
    """Of "auto". methods: by which the network is to be trained, the first that there is room for; none: not at all.

    head: the best for the network as it is. why: in words. right: how many samples held out in turn that head answers
    right, or None: then a view of each watches training
    """

    methods, right, head, why = (), None, None, None


class Lent:
    """The model's own arena, while no sample runs through it: room for what is there for a while only.

    first: where what is there for longer ends
    """

    def __init__(self, model):
        self.model, self.size = model, model.forward_bytes()
        self.first = self.at = 0

    def restart(self):
        """What has been taken is not wanted any more, and neither are panels of weights that were there."""
        self.at = self.first
        self.model._find_panels()

    def take(self, nbytes, what):
        """As model.allocate; of the heap where the arena is full."""
        at = self.at
        if at + nbytes > self.size:
            return allocate(nbytes, what)
        self.at = (at + nbytes + 3) & ~3
        room = memoryview(self.model.arena)[at : at + nbytes]
        for i in range(0, nbytes, len(_ZEROS)):
            part = room[i : i + len(_ZEROS)]
            part[:] = _ZEROS[: len(part)]
        return room


_ZEROS = bytes(256)


def teach(model, samples, options):
    """The head that model.adapt is about to have. options: its arguments, by name."""
    if len(model.f) > MAX_FEATURES:
        raise ValueError("a head reads at most %d features and this model has %d" % (MAX_FEATURES, len(model.f)))
    task = Task(model, options)
    model.why = None
    if options["method"] == AUTO and options["metric"] != "cosine":
        options["method"] = "prototype"  # the only one that has another
    if options["method"] in TAILS or options["method"] == AUTO:
        _check_options(options)
        before = often()  # else what lives lies scattered over the heap, and no large piece is left
        try:
            return training().tune(task, samples) if options["method"] in TAILS else _as_they_say(task, samples)
        finally:
            often(before)
    options["steps"] = STEPS if options["steps"] is None else options["steps"]
    options["rate"] = RATE if options["rate"] is None else options["rate"]
    _check_options(options)
    _check_steps(options["steps"], options["rate"])
    features, classes = collect(model, samples, task.labels)
    rows = rows_of(task, classes)
    method = choose(task, features, rows, possible(task, len(rows))) if options["head"] == "auto" else options["method"]
    head = fit(task, method, features, rows, options["on_step"])
    model.story = head_story(task, method, len(rows))
    return head


def head_story(task, method, count):
    """What explain.py tells where a head is all that was made: (its method, samples, seconds, bytes of RAM)."""
    n, k = len(task.model.f), len(task.owners)
    made = AUTO if AUTO in (task.options["head"], task.options["method"]) else method
    ram = count * (n + 1) + head_bytes(n, k) + work_bytes(made, n, k, count)
    return method, count, seconds_since(task.start), ram


def _as_they_say(task, samples):
    """By "auto": a head, or training, as the samples say."""
    head, inputs, rows = brought("auto").judge(task, samples)
    unload("auto")
    try:
        if not head:
            head = training().tune_first(task, inputs, rows)
        return head or brought("auto").once_more(task, inputs, rows)
    finally:
        unload("auto")
        if inputs:
            inputs.close()


PLANNING = "tail", "augment", "story", "plan", "tuning", "selection"


def training():
    """training.py. Before it comes for the first time all that planning loads comes and goes: names in code stay on the
    heap for good, and where planning is to lie, in front of the arena, they would cut it into pieces."""
    if "tinylearn.training" not in sys.modules:
        for name in PLANNING:
            brought(name)
            unload(name)
        unload("tail")
    return brought("training")


def fit(task, method, features, rows, on_step=None, passing=False):
    """A head of the task's classes from features int8 [samples, n] and the rows uint8 [samples] that they belong to.

    passing: it lies in the model's arena, until the next is made or a sample runs through the model
    """
    options = task.options
    task.lent.restart()
    take = task.lent.take if passing else allocate
    head = _new_head(task, options["metric"] if method == "prototype" else "cosine", take)
    forget_rows(head, task.renewed)
    _call(tl_train.class_sums, head.params, features, rows, head.sums, head.counts)
    if task.source:
        _add_own_classes(task.model, head, task.source)
    if method in CLOSED:
        _closed_form(head, features, rows, CLOSED.index(method), task)
        return head
    _call(tl_train.class_rows, head.params, head.sums, head.counts, head.w, head.b)
    if method == "last_layer":
        of_head = options["method"] in HEADS  # else steps and rate are of training the network
        steps, rate = (options["steps"], options["rate"]) if of_head else (STEPS, RATE)
        train(head, *_with_absent(head, features, rows), steps, rate, on_step, task)
    return head


def fit_chosen(task, method, features, rows, passing=False):
    """fit by what was chosen with some of the samples held out; prototypes, where there is no room for it with all of
    them, and a verdict says so."""
    try:
        return fit(task, method, features, rows, passing=passing)
    except MemoryError:
        if method in (task.options["method"], task.options["head"], "prototype"):
            raise
    if task.verdict:
        task.verdict.head = "prototype"
    if task.why:
        task.why = task.why.replace("head: " + method, "head: prototype")
    return fit(task, "prototype", features, rows, passing=passing)


def moved(head):
    """The same head in buffers of its own."""
    sums, w = [allocate(len(buffer), "the new classes") for buffer in (head.sums, head.w)]  # the larger piece first
    sums[:], w[:] = head.sums, head.w
    return Head(head.params, head.labels, w, head.b, sums, head.counts, head.owners)


def settle(model):
    """What was taught moves to where what was known before lay, now that this is gone: else task after task leaves less
    RAM in one piece."""
    try:
        from uctypes import addressof
    except ImportError:
        return
    head = model.head
    head.sums, head.w = [_lowered(buffer, addressof) for buffer in (head.sums, head.w)]
    if model.memory:
        model.memory = model.memory[0], _lowered(model.memory[1], addressof)


def _lowered(buffer, addressof):
    """The same bytes where there is room before them; else where they are."""
    try:
        lower = allocate(len(buffer), "the same")
    except MemoryError:
        return buffer
    if addressof(lower) > addressof(buffer):
        return buffer
    lower[:] = buffer
    return lower


_OF_TAILS = "layers", "scheme", "views", "width", "augment", "cache", "budget", "time_budget", "ratio", "axis"
_OF_TAILS += "criterion", "compute", "filter"
_NO_HEAD = "%s is for methods that train the network, '%s': %r makes a head alone"


def _check_options(options):
    method, metric, on_step, shrinkage = [options[k] for k in ("method", "metric", "on_step", "shrinkage")]
    check_method(method, options["head"])
    for name in _OF_TAILS if method in HEADS else ():
        if options[name] is not None:
            raise ValueError(_NO_HEAD % (name, "', '".join(TAILS), method))
    if metric != "cosine" and (metric != "euclidean" or method != "prototype"):
        raise ValueError("metric is 'cosine', or 'euclidean' with method 'prototype', not %r" % (metric,))
    if on_step is not None and not callable(on_step):
        raise TypeError("on_step is a function of (step, loss, accuracy), not %r" % (on_step,))
    if shrinkage is not None and not (isinstance(shrinkage, (int, float)) and 0.01 <= shrinkage <= 0.99):
        raise ValueError("shrinkage is a number between 0.01 and 0.99, or None, not %r" % (shrinkage,))
    _check_continual(options)
    if options["more"] not in ("refine", "add"):
        raise ValueError("more is 'refine' or 'add', not %r" % (options["more"],))


def _check_continual(options):
    continual, method = options["continual"], options["method"]
    if continual not in (None, "lightcl", "replay"):
        raise ValueError("continual is 'lightcl', 'replay' or None, not %r" % (continual,))
    if options["hold"] is not None and not continual:
        raise ValueError("hold is of continual='lightcl' or 'replay', and neither is asked for")
    if continual == "replay" and method == "tinytrain":
        raise ValueError("continual='replay' is for methods that begin with the same layer each time: not 'tinytrain'")
    if continual and method not in TAILS:
        raise ValueError(
            "continual is for methods that train the network: name one, '%s', not %r" % ("', '".join(TAILS), method)
        )


def _check_steps(steps, rate):
    if not isinstance(steps, int) or steps < 1:
        raise ValueError("steps is a whole number from 1, not %r" % (steps,))
    if not isinstance(rate, (int, float)) or not 1 / 256 <= rate <= 16384:
        raise ValueError("rate is a number between 1/256 and 16384, not %r" % (rate,))


def _call(function, *arguments):
    status = function(*arguments)
    if status:
        fail(status, "teaching")


def clock():
    return time.ticks_ms() if hasattr(time, "ticks_ms") else time.perf_counter()


def seconds_since(start):
    return time.ticks_diff(time.ticks_ms(), start) / 1000 if hasattr(time, "ticks_ms") else time.perf_counter() - start


_TOO_MANY = "more than %d samples: adapt in several calls" % MAX_SAMPLES


# ---- Samples ---------------------------------------------------------------------------------------------------------


def collect(model, samples, labels, inputs=None):
    """(features int8 [samples, n], classes uint8 [samples]) of an iterable of (x, label); labels grows by new ones.

    inputs: support.Inputs that keep the samples, too
    """
    n, count, room = len(model.f), 0, length(samples)
    if room is None:
        room = 16
    if room > MAX_SAMPLES:
        raise ValueError(_TOO_MANY)
    cache, classes = allocate(room * n, "the features of %d samples" % room), bytearray(room)
    for count, x, k in each(samples, labels):
        if count == room:
            room += min(max(room, 1), 64)
            cache = _grown(cache, room * n, "the features of %d samples" % room)
            classes = _grown(classes, room, "the classes of the samples")
        classes[count] = k
        try:
            model.take(x)
            if inputs:
                inputs.put(count, model.x)
            memoryview(cache)[count * n : (count + 1) * n] = model.features()
        except (TypeError, ValueError) as e:
            raise type(e)("sample %d: %s" % (count, e))
        count += 1
    if count == 0:
        raise ValueError("there are no samples: give at least one (x, label) of each class")
    return memoryview(cache)[: count * n], memoryview(classes)[:count]


def each(samples, labels):
    """(number, x, class) of an iterable of (x, label); labels grows by new ones. Errors say which sample is wrong."""
    try:
        pairs = iter(samples)
    except TypeError:
        raise TypeError("samples is an iterable of (x, label), not of type %s" % type(samples).__name__)
    count = 0
    for pair in pairs:
        try:
            x, label = pair
        except (TypeError, ValueError):
            raise ValueError("sample %d is not a pair (x, label)" % count)
        if count == MAX_SAMPLES:
            raise ValueError(_TOO_MANY)
        try:
            k = class_of(label, labels)
        except (TypeError, ValueError) as e:
            raise type(e)("sample %d: %s" % (count, e))
        yield count, x, k
        count += 1


def length(samples):
    """How many samples there are, or None where nobody can tell."""
    try:
        return len(samples)
    except TypeError:  # a generator
        return None


def _grown(buffer, size, what):
    larger = allocate(size, what)
    memoryview(larger)[: len(buffer)] = buffer
    return larger


def class_of(label, labels):
    """The index of a label, which is appended when it is new."""
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        index = None if isinstance(label, bool) else getattr(label, "__index__", None)  # numpy's integers have it
        if index is None:
            raise TypeError("a label is an int or a str, not %r" % (label,))
        label = index()
    for k, known in enumerate(labels):
        if known == label:
            return k
        if type(known) is not type(label) and str(known) == str(label):
            raise ValueError("label %r is there as %r too: use one of them for that class" % (label, known))
    if len(labels) == MAX_CLASSES:
        raise ValueError("more than %d classes" % MAX_CLASSES)
    labels.append(label)
    return len(labels) - 1


# ---- Classes ---------------------------------------------------------------------------------------------------------


def _own_rows(model, before, labels, keep):
    """Append the model's own classes to labels where they stay; then: each class's row in its classifier, or -1."""
    own = model.own_labels
    if before or keep is False or not own or not (keep or any(label in own for label in labels)):
        return None
    if len(labels) < 2:
        raise ValueError(
            "one class only, %r: beside the model's own classes it needs examples of at least two, of which one "
            "may be an own class" % labels[0]
        )
    taught = len(labels)
    for name in own:
        class_of(name, labels)
    return array("h", (-1 if k < taught else own.index(label) for k, label in enumerate(labels)))


def rows_of(task, classes):
    """The row of each sample in the head that is to be; the task knows its other classes now, too."""
    task.source = _own_rows(task.model, task.before, task.labels, task.options["keep"])
    if len(task.labels) < 2:
        raise ValueError("one class only, %r: there is nothing to tell apart, give examples of two" % task.labels[0])
    return _rows_of(task, classes)


def _rows_of(task, classes):
    """Give each class a row, and with more='add' one more where samples are of a class that has one already.

    classes uint8 [samples] becomes the row of each sample: its class's newest.
    """
    owners, seen = task.owners, set(classes)
    counts = task.before.counts if task.before else ()
    newest = {owner: row for row, owner in enumerate(owners)}
    for k in range(len(task.labels)):
        if k not in newest or (task.options["more"] == "add" and k in seen and counts[newest[k]] > 0):
            newest[k] = len(owners)
            owners.append(k)
    if len(owners) > MAX_CLASSES:
        raise ValueError("more than %d prototypes: forget a class, or adapt without more='add'" % MAX_CLASSES)
    for i, k in enumerate(classes):
        classes[i] = newest[k]
    return classes


def _new_head(task, metric, take=allocate):
    """A head of the task's classes with what was taught before in it, and no rows yet. take: what gives it memory"""
    model, before, n, k = task.model, task.before, len(task.model.f), len(task.owners)
    mult, shift = (0, 0) if metric == "cosine" else _euclidean_scale(model)
    params = array("i", (n, k, model.f_zero, mult, shift))
    sums = take(4 * k * n, "the sums of %d prototypes" % k)
    counts = array("i", (0 for _ in range(k)))
    if before:
        memoryview(sums)[: len(before.sums)] = before.sums
        for i, count in enumerate(before.counts):
            counts[i] = count
    w = take(2 * k * n, "the rows of %d prototypes" % k)
    return Head(params, task.labels, w, bytearray(4 * k), sums, counts, task.owners)


def forget_rows(head, rows):
    """Take away what rows of a head were made of before."""
    n = head.params[0]
    for row in rows:
        head.counts[row] = 0
        memoryview(head.sums)[4 * n * row : 4 * n * (row + 1)] = bytes(4 * n)


def _euclidean_scale(model):
    """(mult, shift): mult / 2^shift = scale^2 * 2^10, which takes products with 6 fractional bits to logits with 16."""
    mantissa, exponent = float_parts(model.f_scale)
    shift = -42 - 2 * exponent
    if not 0 <= shift <= 62:
        raise ValueError("the scale of this model's features is too far from 1 for metric='euclidean': use 'cosine'")
    return (mantissa * mantissa) >> 32, shift


def _add_own_classes(model, head, source):
    """Pseudo-prototypes for the classes that only the model's own classifier knows."""
    code, w = model.operator(model.first_of_head, "B", 0)[0], model.operator(model.first_of_head, "<H", 18)[0]
    if code not in (_CONV2D, _FULLY_CONNECTED):
        raise ValueError("this model's own classifier is not a dense layer, so its classes cannot stay: say keep=False")
    weights = model.tensor(w)[0]
    n, own = head.params[0], len(model.own_labels)
    params = array("i", head.params)
    params.append(own)
    scales = array("i", _proportions(model, w, own))
    _call(tl_train.own_classes, params, source, weights, scales, head.sums, head.counts, bytearray(8 * n))


def _proportions(model, w, own):
    """The scales of the rows of weight tensor w, in proportion, as integers of 15 bits."""
    at = model.scales(w)
    if at == 0:
        return [32767] * own
    parts = [float_parts(model.file[at + 4 * i : at + 4 * i + 4]) for i in range(own)]
    top = max(exponent for _, exponent in parts)
    return [mantissa >> min(24, 9 + top - exponent) for mantissa, exponent in parts]


def _with_absent(head, features, classes):
    """The samples, and for each class without one its mean as one more: what was known is trained on, too."""
    n, k = head.params[0], head.params[1]
    present = set(classes)
    absent = [i for i in range(k) if i not in present]
    if not absent:
        return features, classes
    count = len(classes)
    features = _grown(features, (count + len(absent)) * n, "the features of %d samples" % (count + len(absent)))
    classes = _grown(classes, count + len(absent), "the classes")
    for i in absent:
        number, zero = abs(head.counts[i]), head.params[2]
        at = count * n
        for total in unpack_from("<%di" % n, head.sums, 4 * i * n):
            features[at] = max(-128, min(127, (total + number // 2) // number + zero)) & 255
            at += 1
        classes[count] = i
        count += 1
    return features, classes


# ---- Closed form -----------------------------------------------------------------------------------------------------

MAX_MATRIX = 512


def _scratch(task, nbytes, what):
    """Memory to work in."""
    spare = task.spare
    return spare[:nbytes] if spare and len(spare) >= nbytes else task.lent.take(nbytes, what)


def _closed_form(head, features, rows, part, task):
    """Rows by linear discriminant analysis (native_modules/kernels/head_closed_form.c). part: of head.CLOSED"""
    n, k, samples, shrinkage = head.params[0], head.params[1], len(rows), task.options["shrinkage"]
    if min(n, samples) > MAX_MATRIX:
        raise ValueError(
            "closed_form takes %d samples, or a model of %d features, not %d samples of %d features: use 'prototype'"
            % (MAX_MATRIX, MAX_MATRIX, samples, n)
        )
    examples, prior = samples - len(set(rows)), n << 8 >> 3 * part
    if shrinkage is not None and examples:
        share = int(shrinkage * 1024 + 0.5)
        prior = max(1, min(1 << 23, (examples * share << 8) // (1024 - share)))
    params = array("i", head.params)
    params.append(prior)
    scale = array("i", (0, 0))
    what = "the covariance of %d samples of %d features" % (samples, n)
    scratch = _scratch(task, matrix_bytes(n, k, samples), what)
    _call(tl_train.closed_form, params, features, rows, head.sums, head.counts, head.w, head.b, scale, scratch)
    head.params[3], head.params[4] = scale


# ---- Which head ------------------------------------------------------------------------------------------------------


def possible(task, count):
    """The head that was asked for, else those that can be made of so many samples. Prototypes, which training compares
    with, look better on these samples than they are, and without training they are never better than closed forms.
    """
    if task.options["head"] in HEADS:
        return (task.options["head"],)
    if min(len(task.model.f), count) > MAX_MATRIX:
        return ("prototype",)
    return CLOSED if task.options["shrinkage"] is None else CLOSED[:1]


def choose(task, features, rows, methods):
    """The method that suits the samples best. Reorders them."""
    return judged(task, features, rows, methods)[0]


def judged(task, features, rows, methods):
    """(the method that gives the right classes the highest probability, of samples that were held out, each once; how
    many of these it answers right). Reorders the samples.

    Of one sample of each class there are none: what is known of the network says which. Prototypes, where there is no
    room for any of the methods.
    """
    try:
        asked, right, sure = held_out(task, features, rows, methods)
    except MemoryError:
        methods = ("prototype",)
        asked, right, sure = held_out(task, features, rows, methods)
    best = sure.index(max(sure))
    return methods[best] if asked else of_one(task.model), right[best]


def of_one(model):
    """The head for one sample of each class, where nothing can be held out: what the model's card says, else by what
    its features were trained for. Lengths count (closed_form) where a classifier read them, not where prototypes did.
    """
    card = model.meta.get("train")
    head = card.get("head") if isinstance(card, dict) else None
    if head in HEADS[:2]:
        return head
    return "closed_form" if model.first_of_head < model.operators else "prototype"


def held_out(task, features, rows, methods):
    """Hold out the samples in turn: (how many were, how many of them each method answers right, the probabilities that
    it gives to their classes, 32768 for 1, added up). Reorders the samples.

    A method that there is no room for has less than none; MemoryError where there is room for none.
    """
    n, folds, asked, count = len(task.model.f), _folds(rows), 0, len(rows)
    right, sure = [0] * len(methods), [0] * len(methods)
    for fold in range(FOLDS - 1, -1, -1):
        count = _hold_out(features, rows, folds, fold)
        asked += len(rows) - count
        for i, method in enumerate(methods if count < len(rows) else ()):
            head = None  # the one before
            try:
                head = fit(task, method, features[: count * n], rows[:count], passing=True)
            except MemoryError:
                if i == len(methods) - 1 and max(right) < 0:
                    raise
                right[i] = sure[i] = -len(rows) << 15
                continue
            for j in range(count, len(rows)):
                best, p = head.belief(features[j * n : (j + 1) * n], head.owners[rows[j]])
                right[i] += best
                sure[i] += p
    return asked, right, sure


def _folds(rows):
    """The fold in which each sample is held out, in turn within its row; FOLDS, never, for its row's only one."""
    seen = {}
    folds = bytearray(len(rows))
    for i, row in enumerate(rows):
        seen[row] = seen.get(row, 0) + 1
        folds[i] = (seen[row] - 1) % FOLDS
    for i, row in enumerate(rows):
        if seen[row] == 1:
            folds[i] = FOLDS
    return folds


def _hold_out(features, rows, folds, fold):
    """Move the samples of one fold behind all others; gives the number of those."""
    n, i, end = len(features) // len(rows), 0, len(rows)
    while i < end:
        if folds[i] != fold:
            i += 1
            continue
        end -= 1
        here, there = features[i * n : (i + 1) * n], features[end * n : (end + 1) * n]
        kept = bytes(here)
        here[:] = there
        there[:] = kept
        rows[i], rows[end] = rows[end], rows[i]
        folds[i], folds[end] = folds[end], folds[i]
    return end


# ---- Last layer ------------------------------------------------------------------------------------------------------


def train(head, features, classes, steps, rate, on_step, task):
    """Full-batch SGD on the cross-entropy of the head's rows (native_modules/kernels/head_linear.c)."""
    n, k, samples = head.params[0], head.params[1], len(classes)
    params = array("i", head.params)
    params.extend(array("i", (int(rate * 256 + 0.5), 256)))  # with 8 fractional bits: rate, clip
    scratch, seed = _scratch(task, training_bytes(n, k, samples), "training the last layer"), task.options["seed"]
    mean = bytearray(2 * n)
    state = array("i", ((seed * 2654435761 & 0x3FFFFFFF) | 1, 0, 0, 0))
    _call(tl_train.unit_mean, head.params, features, mean, memoryview(scratch)[: 4 * n])
    for step in range(steps):
        status = tl_train.head_step(params, features, classes, mean, head.w, head.b, state, scratch)
        if status:
            fail(status, "teaching")
        if on_step:
            on_step(step + 1, state[1] / 65536, state[2] / samples)


# ---- Forgetting ------------------------------------------------------------------------------------------------------


def without(head, label):
    """The head without one of its classes; None when that was the last but one."""
    if not head or label not in head.labels:
        raise ValueError("%r is not one of the classes taught: %r" % (label, head.labels if head else []))
    if len(head.labels) <= 2:
        return None
    gone, kept = head.labels.index(label), rows_without(head, label)
    params, n = array("i", head.params), head.params[0]
    params[1] = len(kept)
    w, b, sums = [_rows(buffer, kept, size) for buffer, size in ((head.w, 2 * n), (head.b, 4), (head.sums, 4 * n))]
    counts = array("i", (head.counts[row] for row in kept))
    owners = bytearray(head.owners[row] - (head.owners[row] > gone) for row in kept)
    return Head(params, [known for known in head.labels if known != label], w, b, sums, counts, owners)


def rows_without(head, label):
    """The rows of a head that stay without one of its classes."""
    return [row for row, owner in enumerate(head.owners) if head.labels[owner] != label]


def _rows(buffer, kept, size):
    """Some rows of a buffer, of size bytes each, as a buffer of their own."""
    shorter = allocate(len(kept) * size, "the remaining classes")
    view, source = memoryview(shorter), memoryview(buffer)
    for i, row in enumerate(kept):
        view[i * size : (i + 1) * size] = source[row * size : (row + 1) * size]
    return shorter
