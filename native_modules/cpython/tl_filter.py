"""tl_filter for CPython: the native module's functions (native_modules/tl_filter/modtl_filter.c) on the same C.

All of tl_grad, and records with filtered gradients: kernels/filter.h.
"""

from tinylearn_library import SPANS, Spans, after, function
from tl_grad import backward, head_loss, rates

__all__ = ["backward", "head_loss", "patches", "rates"]

_patches = function("tl_patches", SPANS, SPANS)


def patches(params, model, places, arena):
    """What a filtered record needs of its operator's input, kept in the arena."""
    with Spans(read=(params, model, places), write=(arena,)) as spans:
        return _patches(spans, after(spans, 1))
