"""tl_train for CPython: the native module's functions (native_modules/tl_train/modtl_train.c) on the same C.

Integers and buffers in, a status out; what each does and the shapes of its buffers: kernels/heads.h and augment.h.
"""

from tinylearn_library import SPANS, Spans, after, function

_class_sums = function("tl_class_sums", SPANS, SPANS)
_class_rows = function("tl_class_rows", SPANS, SPANS)
_own_classes = function("tl_own_classes", SPANS, SPANS)
_closed_form = function("tl_closed_form", SPANS, SPANS)
_unit_mean = function("tl_unit_mean", SPANS, SPANS)
_head_step = function("tl_head_step", SPANS, SPANS)
_augment = function("tl_augment", SPANS, SPANS)


def class_sums(params, features, labels, sums, counts):
    """Add features to their class's sum and count them."""
    with Spans(read=(params, features, labels), write=(sums, counts)) as spans:
        return _class_sums(spans, after(spans, 1))


def class_rows(params, sums, counts, w, b):
    """The rows of a nearest prototype head."""
    with Spans(read=(params, sums, counts), write=(w, b)) as spans:
        return _class_rows(spans, after(spans, 1))


def own_classes(params, source, own_w, own_scale, sums, counts, scratch):
    """Pseudo-prototypes from the model's own classifier, for its classes without samples."""
    with Spans(read=(params, source, own_w, own_scale), write=(sums, counts, scratch)) as spans:
        return _own_classes(spans, after(spans, 1))


def closed_form(params, features, labels, sums, counts, w, b, scale, scratch):
    """The rows of linear discriminant analysis, and the head's mult and shift in scale."""
    with Spans(read=(params, features, labels, sums, counts), write=(w, b, scale, scratch)) as spans:
        return _closed_form(spans, after(spans, 1))


def unit_mean(params, features, mean, scratch):
    """The mean of the features, each scaled to length 1."""
    with Spans(read=(params, features), write=(mean, scratch)) as spans:
        return _unit_mean(spans, after(spans, 1))


def head_step(params, features, labels, mean, w, b, state, scratch):
    """One step of softmax regression."""
    with Spans(read=(params, features, labels, mean), write=(w, b, state, scratch)) as spans:
        return _head_step(spans, after(spans, 1))


def augment(params, x, out, state):
    """A random view of a sample."""
    with Spans(read=(params, x), write=(out, state)) as spans:
        return _augment(spans, after(spans, 1))
