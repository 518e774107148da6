"""What was taught last, what training has chosen of the network, why, and what it took (story.py); and what is known.

>>> model.explain()
knows 3 classes: 3 rows over 64 features, of 12 samples; operators 6, 7 and 10 of the network have been trained
tinytrain by 'fisher': 4 of 6 layers; operators 5 to 11 run for each step
 op  layer      channels           weights  biases   score  worth
  6  conv2d     32 of 64 input        3072      96  100.0%  0.443
...
"""

from collections import namedtuple
from struct import calcsize, unpack_from

from .plan import frequency
from .story import OUTPUT, ROW_FORMAT, SCORED, SOME, STORY_FORMAT, TRAINED

_KINDS = "", "conv2d", "depthwise", "dense"

# seconds: in all; looking: of them, to find out what to train. steps: made, of at most `most`. ram_bytes, flash_bytes:
# at the peak. rate: of steps. first .. end: operators that ran in each step. width: bits of gradients. macs_*:
# multiply-accumulates of one sample: frozen; forward and back in each step; macs_all_back: back all the way with
# everything trained. panel_bytes: of RAM, in which packed weights stay; panel_seconds: what that saves of a step, as
# forecast; 0 where nobody asked for a forecast.
STORY = "seconds", "looking", "rate", "steps", "most", "ram_bytes", "flash_bytes", "first", "end", "width", "views"
STORY += "samples", "macs_frozen", "macs_forward", "macs_back", "macs_all_back", "panel_bytes", "panel_seconds"
Story = namedtuple("Story", STORY)
# A layer that is trained, or could have been. axis: "input" or "output"; channels: a list, or None: all `of` them.
# weights, biases: how many are trained. score: as a share of the best; worth: Fisher information, for "l2" the
# square of a norm; None where nothing was scored.
ROW = "op", "kind", "trained", "axis", "channels", "of", "weights", "biases", "score", "worth"
Row = namedtuple("Row", ROW)


class Explanation:
    """method; criterion and cache, or None; told: Story; layers: a Row of each. Printed, it is sentences and a table.

    why: what "auto" decided, in words, or None. Where a head is all that was made of the samples there are no layers;
    where nothing was taught since load(), no method and nothing told.
    classes, rows, samples: of the head. changed: operators that are not as they came. held: {operator: (channels that
    continual learning holds in its map, of how many)}. kept: (samples, bytes) of a memory, or None. hz: of the core's
    clock; 0: nobody knows
    """

    def __init__(self, model, story, why=None):
        self.why, self.method, self.criterion, self.cache, self.told, self.layers = why, None, None, None, None, ()
        self.hz = frequency(0)
        self._know(model)
        if story and isinstance(story[-1], bytearray):
            self.method, self.criterion, self.cache, data = story
            self.told, self.layers = Story(*unpack_from(STORY_FORMAT, data)), _rows(model, data)
        elif story:
            self.method, samples, seconds, ram = story
            end = model.first_of_head
            macs = sum([model.operator(i, "<I", 28)[0] for i in range(end)])
            self.told = Story(seconds, 0, 0, 0, 0, ram, 0, end, end, 0, 0, samples, macs, 0, 0, 0, 0, 0)

    def _know(self, model):
        head, self.changed, self.held, self.kept = model.head, [], {}, None
        if model.memory:
            from .replay import samples

            self.kept = len(samples(model.memory)), len(model.memory[1])
        self.classes = len(head.labels) if head else 0
        self.rows, self.features, self.samples = (
            (head.params[1], head.params[0], sum([max(0, count) for count in head.counts])) if head else (0, 0, 0)
        )
        for i in range(model.operators):
            y, w, b = model.operator(i, "<3H", 16)
            if w in model.changed or b in model.changed:
                self.changed.append(i)
            if y in model.held:
                bits = model.held[y]
                on = sum([bits[c >> 3] >> (c & 7) & 1 for c in range(8 * len(bits))])
                self.held[i] = on, model.shape(y)[3]

    def known(self):
        """What is known now, in sentences."""
        lines = ["knows no class but those it came with"]
        if self.classes:
            lines = [_KNOWS % (self.classes, self.rows, self.features, self.samples)]
        several = len(self.changed) > 1
        trained = _TRAINED % ("s" if several else "", _listed(self.changed), "have" if several else "has")
        lines[0] += "; " + (trained if self.changed else "the network is as it came")
        if self.held:
            held = ["%d of %d channels of operator %d" % (self.held[i] + (i,)) for i in sorted(self.held)]
            lines.append("holds on to " + _listed(held))
        if self.kept:
            lines.append("keeps %d samples of earlier tasks as activations, in %d bytes" % self.kept)
        return lines

    def __repr__(self):
        lines = self.known()
        if self.why:
            lines.append("auto: " + self.why)
        if self.layers:
            self._table(lines)
        if self.told:
            self._costs(lines)
        return "\n".join(lines)

    def _table(self, lines):
        told, trained = self.told, [row for row in self.layers if row.trained]
        by = " by %r" % self.criterion if self.criterion else ""
        which = "%d of %d layers" % (len(trained), len(self.layers)) if by else "%d layers" % len(trained)
        lines.append(
            "%s%s: %s; operators %d to %d run for each step" % (self.method, by, which, told.first, told.end - 1)
        )
        lines.append(" op  layer      channels           weights  biases" + ("   score  worth" if by else ""))
        for row in self.layers:
            count = row.of if row.channels is None else len(row.channels)
            said = "%d of %d %s" % (count, row.of, row.axis) if row.trained else "-"
            line = "%3d  %-9s  %-17s %8d %7d" % (row.op, row.kind, said, row.weights, row.biases)
            lines.append(line + ("  %5.1f%%  %.3g" % (100 * row.score, row.worth) if by else ""))

    def _costs(self, lines):
        told = self.told
        cycles = ", %.1f M cycles" % (told.seconds * self.hz / 1e6) if self.hz else ""
        if not self.layers:
            said = self.method, told.samples, told.seconds, cycles, told.ram_bytes, told.macs_frozen
            lines.append(_HEAD % said)
            return
        said = told.samples, told.steps, told.most, told.rate, told.seconds, cycles, told.looking
        lines.append(_TRAINING % (said + (told.ram_bytes, told.flash_bytes)))
        lines.append(
            "multiply-accumulates of a sample in a step: %d forward twice, %d back, %.1f%% of all the way back"
            % (told.macs_forward, told.macs_back, 100 * told.macs_back / max(1, told.macs_all_back))
        )
        if told.panel_bytes:
            saved = ", which saves %.2g s of a step" % told.panel_seconds if told.panel_seconds else ""
            lines.append("packed weights stay in %d bytes of that RAM%s" % (told.panel_bytes, saved))


_KNOWS = "knows %d classes: %d rows over %d features, of %d samples"
_TRAINED = "operator%s %s of the network %s been trained"
_TRAINING = (
    "%d samples, %d of %d steps at rate %.4g in %.1f s%s, %.1f s of them to choose; %d bytes of RAM, %d of flash"
)
_HEAD = "%s: a head of %d samples in %.1f s%s; %d bytes of RAM; %d multiply-accumulates for each"


def _listed(items):
    items = [str(item) for item in items]
    return " and ".join(([", ".join(items[:-1])] if items[1:] else []) + items[-1:])


def _rows(model, data):
    found, at = [], calcsize(STORY_FORMAT)
    while at < len(data):
        op, flags, of, weights, biases, score, worth = unpack_from(ROW_FORMAT, data, at)
        at += calcsize(ROW_FORMAT)
        channels = None
        if flags & SOME:
            channels = [c for c in range(of) if data[at + (c >> 3)] >> (c & 7) & 1]
            at += (of + 7) // 8
        kind, axis = _KINDS[model.operator(op, "B", 0)[0]], "output" if flags & OUTPUT else "input"
        why = (score, worth) if flags & SCORED else (None, None)
        found.append(Row(op, kind, bool(flags & TRAINED), axis, channels, of, weights, biases, *why))
    return found
