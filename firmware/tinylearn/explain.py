"""What training has chosen of the network, why, and what it took: packed when it is planned, told when it is asked for.

>>> model.explain()
tinytrain by 'fisher': 4 of 6 layers; operators 5 to 11 run for each step
 op  layer      channels           weights  biases   score  worth
  6  conv2d     32 of 64 input        3072      96  100.0%  0.443
...
"""

from collections import namedtuple
from math import ldexp
from struct import calcsize, pack, unpack_from

_KINDS = "", "conv2d", "depthwise", "dense"
_STORY = "<fffHHIIHHBBHIIII"
_ROW = "<HBHIHff"  # then a bit for each channel where some are chosen
_TRAINED, _OUTPUT, _SCORED, _SOME = 1, 2, 4, 8

# seconds: in all; looking: of them, to find out what to train. steps: made, of at most `most`. ram_bytes, flash_bytes:
# at the peak. rate: of steps. first .. end: operators that ran in each step. width: bits of gradients. macs_*:
# multiply-accumulates of one sample: frozen; forward and back in each step; macs_all_back: back all the way with
# everything trained.
STORY = "seconds", "looking", "rate", "steps", "most", "ram_bytes", "flash_bytes", "first", "end", "width", "views"
STORY += "samples", "macs_frozen", "macs_forward", "macs_back", "macs_all_back"
Story = namedtuple("Story", STORY)
# A layer that is trained, or could have been. axis: "input" or "output"; channels: a list, or None: all `of` them.
# weights, biases: how many are trained. score: as a share of the best; worth: Fisher information, for "l2" the
# square of a norm; None where nothing was scored.
ROW = "op", "kind", "trained", "axis", "channels", "of", "weights", "biases", "score", "worth"
Row = namedtuple("Row", ROW)


# ---- While it is planned ---------------------------------------------------------------------------------------------


def story_of(fit, method, settings):
    """(method, criterion or None, cache, bytes) of a Fit, for model.story."""
    from .tail import backward

    tail, order = fit.tail, fit.order
    all_back = sum([op.macs_input + op.macs_weight for op in backward(tail.model)])
    told = (0, 0, settings.rate, 0, fit.steps, fit.bytes, fit.flash, tail.first, tail.end, tail.width, fit.views)
    parts = [pack(_STORY, *told + (fit.count,) + tail.macs + (all_back,))]
    best = order[0][0] if order else 0
    for score, layer in order or ():
        worth = ldexp(layer.worth, layer.exponent) / (2 * fit.count if settings.looks else 1)
        share = (score << 24) // best if best else 0  # these integers are more than a board's float can hold
        parts.append(_row(tail, layer.op, layer.axis, _SCORED, share / (1 << 24), worth))
    for op in () if order else sorted(tail.choice, reverse=True):
        parts.append(_row(tail, op, tail.choice[op].axis, 0, 0, 0))
    return method, settings.criterion if order else None, fit.cache, bytearray(b"".join(parts))


def _row(tail, index, axis, flags, score, worth):
    from .tail import BIAS, WEIGHTS, Operator

    op, part = Operator(tail.model, index), tail.choice.get(index)
    of, weights, biases, mask = op.channels(axis), 0, 0, b""
    if axis or op.shape[2] == 1:
        flags |= _OUTPUT
    if part:
        flags |= _TRAINED
        outputs, inputs = op.chosen(part)
        weights = op.shape[1] * outputs * inputs if part.flags & WEIGHTS else 0
        biases = outputs if part.flags & BIAS else 0
        if part.count:
            flags |= _SOME
            mask = bytearray((of + 7) // 8)
            for c in part.list or range(part.first, part.first + part.count):
                mask[c >> 3] |= 1 << (c & 7)
    return pack(_ROW, index, flags, of, weights, biases, score, worth) + mask


# ---- When it is asked for --------------------------------------------------------------------------------------------


class Explanation:
    """method; criterion and cache, or None; told: Story; layers: a Row of each. Printed, it is a table.

    why: what "auto" decided, in words, or None. Where it trained nothing all else is None, and layers are ().
    """

    def __init__(self, model, story, why=None):
        self.why, self.method, self.criterion, self.cache, self.told, self.layers = why, None, None, None, None, ()
        if not story:
            return
        self.method, self.criterion, self.cache, data = story
        self.told, self.layers = Story(*unpack_from(_STORY, data)), []
        at = calcsize(_STORY)
        while at < len(data):
            op, flags, of, weights, biases, score, worth = unpack_from(_ROW, data, at)
            at += calcsize(_ROW)
            channels = None
            if flags & _SOME:
                channels = [c for c in range(of) if data[at + (c >> 3)] >> (c & 7) & 1]
                at += (of + 7) // 8
            kind, axis = _KINDS[model.operator(op, "B", 0)[0]], "output" if flags & _OUTPUT else "input"
            why = (score, worth) if flags & _SCORED else (None, None)
            self.layers.append(Row(op, kind, bool(flags & _TRAINED), axis, channels, of, weights, biases, *why))

    def __repr__(self):
        if not self.told:
            return "auto: " + self.why
        told, trained = self.told, [row for row in self.layers if row.trained]
        by = " by %r" % self.criterion if self.criterion else ""
        which = "%d of %d layers" % (len(trained), len(self.layers)) if by else "%d layers" % len(trained)
        lines = ["auto: " + self.why] if self.why else []
        lines += ["%s%s: %s; operators %d to %d run for each step" % (self.method, by, which, told.first, told.end - 1)]
        lines.append(" op  layer      channels           weights  biases" + ("   score  worth" if by else ""))
        for row in self.layers:
            count = row.of if row.channels is None else len(row.channels)
            said = "%d of %d %s" % (count, row.of, row.axis) if row.trained else "-"
            line = "%3d  %-9s  %-17s %8d %7d" % (row.op, row.kind, said, row.weights, row.biases)
            lines.append(line + ("  %5.1f%%  %.3g" % (100 * row.score, row.worth) if by else ""))
        share = 100 * told.macs_back / max(1, told.macs_all_back)
        lines.append(
            "%d samples, %d of %d steps at rate %.4g in %.1f s, %.1f s of them to choose; %d bytes of RAM, %d of flash"
            % ((told.samples, told.steps, told.most, told.rate) + told[:2] + (told.ram_bytes, told.flash_bytes))
        )
        lines.append(
            "multiply-accumulates of a sample in a step: %d forward twice, %d back, %.1f%% of all the way back"
            % (told.macs_forward, told.macs_back, share)
        )
        return "\n".join(lines)
