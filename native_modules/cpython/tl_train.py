"""tl_train for CPython: the native module's functions (native_modules/tl_train/modtl_train.c) on the same C.

What each function does, and its buffers: kernels/heads.h. Integers and buffers in, a status out.
"""

from tinylearn_library import SPANS, Spans, function


def _call(name, params, read, write):
    with Spans(read=(params, *read), write=write) as (settings, *spans):
        return function(name, SPANS, SPANS)(settings, (type(settings) * len(spans))(*spans))


def class_sums(params, features, labels, sums, counts):
    """sums int32 [k, n] and counts int32 [k] += features int8 [samples, n], labels uint8 [samples]."""
    return _call("tl_class_sums", params, (features, labels), (sums, counts))


def class_rows(params, sums, counts, w, b):
    """The rows of a nearest prototype head."""
    return _call("tl_class_rows", params, (sums, counts), (w, b))


def own_classes(params, source, own_w, own_scale, sums, counts, scratch):
    """Pseudo-prototypes for the classes that only the model's own classifier knows."""
    return _call("tl_own_classes", params, (source, own_w, own_scale), (sums, counts, scratch))


def unit_mean(params, features, mean, scratch):
    """mean int16 [n] of the features scaled to length 1."""
    return _call("tl_unit_mean", params, (features,), (mean, scratch))


def head_step(params, features, labels, mean, w, b, state, scratch):
    """One full-batch step of SGD on the last layer."""
    return _call("tl_head_step", params, (features, labels, mean), (w, b, state, scratch))
