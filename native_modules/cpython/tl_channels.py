"""tl_channels for CPython: the native module's functions (native_modules/tl_channels/modtl_channels.c) on the same C.

All of tl_grad, and what methods that look at channels want: kernels/fisher.h and pull.h; and the loss of a model's own
logits: kernels/backward.h.
"""

from tinylearn_library import SPANS, Spans, after, function
from tl_grad import backward, head_loss, rates

__all__ = ["activity", "backward", "channel_maps", "head_loss", "rates", "softmax_loss"]

_softmax_loss = function("tl_softmax_loss", SPANS, SPANS)
_activity = function("tl_activity", SPANS, SPANS)
_channel_maps = function("tl_channel_maps", SPANS, SPANS)


def softmax_loss(params, x, dx, state, scratch):
    """Softmax cross-entropy of the model's own logits, and its gradient to them."""
    with Spans(read=(params, x), write=(dx, state, scratch)) as spans:
        return _softmax_loss(spans, after(spans, 1))


def activity(params, y, sums):
    """How active the channels of a feature map are, added to sums."""
    with Spans(read=(params, y), write=(sums,)) as spans:
        return _activity(spans, after(spans, 1))


def channel_maps(params, y, channels, reference):
    """Some channels of a feature map, for a later pull towards them."""
    with Spans(read=(params, y, channels), write=(reference,)) as spans:
        return _channel_maps(spans, after(spans, 1))
