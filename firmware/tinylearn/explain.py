"""What training has chosen of the network, why, and what it took (story.py), told.

>>> model.explain()
tinytrain by 'fisher': 4 of 6 layers; operators 5 to 11 run for each step
 op  layer      channels           weights  biases   score  worth
  6  conv2d     32 of 64 input        3072      96  100.0%  0.443
...
"""

from collections import namedtuple
from struct import calcsize, unpack_from

from .story import OUTPUT, ROW_FORMAT, SCORED, SOME, STORY_FORMAT, TRAINED

_KINDS = "", "conv2d", "depthwise", "dense"

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


class Explanation:
    """method; criterion and cache, or None; told: Story; layers: a Row of each. Printed, it is a table.

    why: what "auto" decided, in words, or None. Where it trained nothing all else is None, and layers are ().
    """

    def __init__(self, model, story, why=None):
        self.why, self.method, self.criterion, self.cache, self.told, self.layers = why, None, None, None, None, ()
        if not story:
            return
        self.method, self.criterion, self.cache, data = story
        self.told, self.layers = Story(*unpack_from(STORY_FORMAT, data)), []
        at = calcsize(STORY_FORMAT)
        while at < len(data):
            op, flags, of, weights, biases, score, worth = unpack_from(ROW_FORMAT, data, at)
            at += calcsize(ROW_FORMAT)
            channels = None
            if flags & SOME:
                channels = [c for c in range(of) if data[at + (c >> 3)] >> (c & 7) & 1]
                at += (of + 7) // 8
            kind, axis = _KINDS[model.operator(op, "B", 0)[0]], "output" if flags & OUTPUT else "input"
            why = (score, worth) if flags & SCORED else (None, None)
            self.layers.append(Row(op, kind, bool(flags & TRAINED), axis, channels, of, weights, biases, *why))

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
