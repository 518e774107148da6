"""What training has chosen of the network and why, packed while it is planned: explain.py tells it when it is asked."""

from math import ldexp
from struct import pack

STORY_FORMAT = "<fffHHIIHHBBHIIIIIf"  # explain.STORY
ROW_FORMAT = "<HBHIHff"  # explain.ROW; then a bit for each channel where some are chosen
TRAINED, OUTPUT, SCORED, SOME = 1, 2, 4, 8


def story_of(fit, method, settings):
    """(method, criterion or None, cache, bytes) of a Fit, for model.story."""
    from .tail import backward

    tail, order = fit.tail, fit.order
    all_back = sum([op.macs_input + op.macs_weight for op in backward(tail.model)])
    told = (0, 0, settings.rate, 0, fit.steps, fit.bytes, fit.flash, tail.first, tail.end, tail.width, fit.views)
    told += (fit.count,) + tail.macs + (all_back, fit.panel_bytes, fit.saved)
    parts = [pack(STORY_FORMAT, *told)]
    best = order[0][0] if order else 0
    for score, layer in order or ():
        worth = ldexp(layer.worth, layer.exponent) / (2 * fit.count if settings.looks else 1)
        share = (score << 24) // best if best else 0  # these integers are more than a board's float can hold
        parts.append(_row(tail, layer.op, layer.axis, SCORED, share / (1 << 24), worth))
    for op in () if order else sorted(tail.choice, reverse=True):
        parts.append(_row(tail, op, tail.choice[op].axis, 0, 0, 0))
    return method, settings.criterion if order else None, fit.cache, bytearray(b"".join(parts))


def _row(tail, index, axis, flags, score, worth):
    from .tail import BIAS, WEIGHTS, Operator

    op, part = Operator(tail.model, index), tail.choice.get(index)
    of, weights, biases, mask = op.channels(axis), 0, 0, b""
    if axis or op.shape[2] == 1:
        flags |= OUTPUT
    if part:
        flags |= TRAINED
        outputs, inputs = op.chosen(part)
        weights = op.shape[1] * outputs * inputs if part.flags & WEIGHTS else 0
        biases = outputs if part.flags & BIAS else 0
        if part.count:
            flags |= SOME
            mask = bytearray((of + 7) // 8)
            for c in part.list or range(part.first, part.first + part.count):
                mask[c >> 3] |= 1 << (c & 7)
    return pack(ROW_FORMAT, index, flags, of, weights, biases, score, worth) + mask
