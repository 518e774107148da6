"""Teaching: the frozen network runs once per example, a head is made of its features. Loaded by the first Model.adapt.

Nothing of the model changes until the new head is ready: whatever is raised here, it predicts as before.
"""

from array import array
from struct import unpack_from

import tl_train

from .head import Head
from .model import allocate, fail, float_parts

STEPS, RATE = 40, 100
MAX_CLASSES, MAX_SAMPLES, MAX_FEATURES = 256, 16000, 32768
_CONV2D, _FULLY_CONNECTED = 1, 3


def teach(model, samples, method, steps, rate, on_step, seed, metric, keep):
    """The head that model.adapt is about to have."""
    steps, rate = STEPS if steps is None else steps, RATE if rate is None else rate
    _check_options(method, steps, rate, on_step, metric)
    if len(model.f) > MAX_FEATURES:
        raise ValueError("a head reads at most %d features and this model has %d" % (MAX_FEATURES, len(model.f)))
    before = model.head
    labels = list(before.labels) if before else []
    features, classes = collect(model, samples, labels)
    source = _own_rows(model, before, labels, keep)
    if len(labels) < 2:
        raise ValueError("one class only, %r: there is nothing to tell apart, give examples of two" % labels[0])
    head = _new_head(model, before, labels, method, metric)
    _call(tl_train.class_sums, head.params, features, classes, head.sums, head.counts)
    if source:
        _add_own_classes(model, head, source)
    _call(tl_train.class_rows, head.params, head.sums, head.counts, head.w, head.b)
    if method == "last_layer":
        train(head, *_with_absent(head, features, classes), steps, rate, on_step, seed)
    return head


def _check_options(method, steps, rate, on_step, metric):
    if method not in ("prototype", "last_layer"):
        raise ValueError("method is 'prototype' or 'last_layer', not %r" % (method,))
    if metric != "cosine" and (metric != "euclidean" or method != "prototype"):
        raise ValueError("metric is 'cosine', or 'euclidean' with method 'prototype', not %r" % (metric,))
    if not isinstance(steps, int) or steps < 1:
        raise ValueError("steps is a whole number from 1, not %r" % (steps,))
    if not isinstance(rate, (int, float)) or not 1 / 256 <= rate <= 16384:
        raise ValueError("rate is a number between 1/256 and 16384, not %r" % (rate,))
    if on_step is not None and not callable(on_step):
        raise TypeError("on_step is a function of (step, loss, accuracy), not %r" % (on_step,))


def _call(function, *arguments):
    status = function(*arguments)
    if status:
        fail(status, "teaching")


_TOO_MANY = "more than %d samples: adapt in several calls" % MAX_SAMPLES


# ---- Samples ---------------------------------------------------------------------------------------------------------


def collect(model, samples, labels):
    """(features int8 [samples, n], classes uint8 [samples]) of an iterable of (x, label); labels grows by new ones."""
    n, count = len(model.f), 0
    try:
        room = len(samples)
    except TypeError:  # a generator
        room = 16
    if room > MAX_SAMPLES:
        raise ValueError(_TOO_MANY)
    cache, classes = allocate(room * n, "the features of %d samples" % room), bytearray(room)
    try:
        pairs = iter(samples)
    except TypeError:
        raise TypeError("samples is an iterable of (x, label), not of type %s" % type(samples).__name__)
    for pair in pairs:
        try:
            x, label = pair
        except (TypeError, ValueError):
            raise ValueError("sample %d is not a pair (x, label)" % count)
        if count == room:
            if count >= MAX_SAMPLES:
                raise ValueError(_TOO_MANY)
            room += min(max(room, 1), 64)
            cache = _grown(cache, room * n, "the features of %d samples" % room)
            classes = _grown(classes, room, "the classes of the samples")
        try:
            classes[count] = class_of(label, labels)
            view = memoryview(cache)[count * n : (count + 1) * n]
            view[:] = model.features(x)
        except (TypeError, ValueError) as e:
            raise type(e)("sample %d: %s" % (count, e))
        count += 1
    if count == 0:
        raise ValueError("there are no samples: give at least one (x, label) of each class")
    return memoryview(cache)[: count * n], memoryview(classes)[:count]


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
        if str(known) == str(label):
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


def _new_head(model, before, labels, method, metric):
    """A head of these classes with what was taught before in it, and no rows yet."""
    n, k = len(model.f), len(labels)
    mult, shift = (0, 0) if metric == "cosine" else _euclidean_scale(model)
    params = array("i", (n, k, model.f_zero, mult, shift))
    sums = allocate(4 * k * n, "the sums of %d classes" % k)
    counts = array("i", (0 for _ in labels))
    if before:
        memoryview(sums)[: len(before.sums)] = before.sums
        for i, count in enumerate(before.counts):
            counts[i] = count
    w = allocate(2 * k * n, "the rows of %d classes" % k)
    return Head(params, labels, w, bytearray(4 * k), sums, counts)


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
    at = unpack_from("<I", model.file, model._sections[b"TENS"][0] + 32 * w + 24)[0]
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


# ---- Last layer ------------------------------------------------------------------------------------------------------


def scratch_bytes(n, k, samples):
    """What head_step works in."""
    return 4 * (samples * k + samples + n + 2 * k)


def train(head, features, classes, steps, rate, on_step, seed):
    """Full-batch SGD on the cross-entropy of the head's rows (native_modules/kernels/head_linear.c)."""
    n, k, samples = head.params[0], head.params[1], len(classes)
    params = array("i", head.params)
    params.extend(array("i", (int(rate * 256 + 0.5), 256)))  # with 8 fractional bits: rate, clip
    scratch = allocate(scratch_bytes(n, k, samples), "training the last layer")
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
    n, k = head.params[0], head.params[1]
    if k <= 2:
        return None
    gone = head.labels.index(label)
    params = array("i", head.params)
    params[1] = k - 1
    cut = [_cut(buffer, gone * row, row) for buffer, row in ((head.w, 2 * n), (head.b, 4), (head.sums, 4 * n))]
    counts = array("i", (count for i, count in enumerate(head.counts) if i != gone))
    return Head(params, [known for known in head.labels if known != label], *cut, counts)


def _cut(buffer, at, size):
    """A copy of a buffer without size bytes at an offset."""
    shorter = allocate(len(buffer) - size, "the remaining classes")
    view, source = memoryview(shorter), memoryview(buffer)
    view[:at] = source[:at]
    view[at:] = source[at + size :]
    return shorter
