"""tl_grad for CPython: the native module's functions (native_modules/tl_grad/modtl_grad.c) on the same C.

Integers and buffers in, a status out; what each does and the shapes of its buffers: kernels/backward.h.
"""

from tinylearn_library import SPANS, Span, Spans, after, function

_rates = function("tl_rates", SPANS, SPANS)
_head_loss = function("tl_head_loss", SPANS, SPANS)
_backward = function("tl_backward", SPANS)


def rates(params, model, table):
    """The learning rate of each output channel of an operator, in its weights' or biases' integers."""
    with Spans(read=(params, model), write=(table,)) as spans:
        return _rates(spans, after(spans, 1))


def head_loss(params, x, w, b, dx, state, scratch):
    """Softmax cross-entropy of a head, and its gradient to the features."""
    with Spans(read=(params, x, w, b), write=(dx, state, scratch)) as spans:
        return _head_loss(spans, after(spans, 1))


def backward(model, arena, places, plan, state, weights=None):
    """Run the records of a backward plan: gradients, and updates of what places has moved to the arena.

    weights: the model again, where it is writable: then also of what places says has changed in it.
    """
    with Spans(read=(model, places, plan), write=(arena, state, weights)) as (file, moved, records, memory, words, own):
        return _backward((Span * 6)(file, memory, moved, records, words, own))
