"""What holding on to feature maps takes beside a tail's training (LightCL, arXiv 2407.10545). Loaded while adapt plans.

Channels that earlier tasks used are held in the maps of trained convolutions, and all of the features. What the network
gave for them before it is trained further is kept for the first samples, int8, behind everything else of the arena.
"""

from array import array

from .tail import Tail

PULL = 64  # of a record of tl_channels' plans, native_modules/kernels/backward.h
SAMPLES, SHARE, MOST, STRENGTH = 15, 0.15, 0.5, 1.0
_DEPTHWISE = 2


def options(asked):
    """(samples, share, most, strength) of adapt's `hold`; ValueError says what is wrong with it."""
    found = {"samples": SAMPLES, "share": SHARE, "most": MOST, "strength": STRENGTH}
    if asked is not None and not isinstance(asked, dict):
        raise ValueError("hold is a dict of 'samples', 'share', 'most' and 'strength', not %r" % (asked,))
    for name in asked or ():
        if name not in found:
            raise ValueError("hold has 'samples', 'share', 'most' and 'strength', not %r" % (name,))
        found[name] = asked[name]
    samples, share, most, strength = [found[name] for name in ("samples", "share", "most", "strength")]
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 1000:
        raise ValueError("hold: samples is a whole number from 1, not %r" % (samples,))
    if not (isinstance(share, (int, float)) and isinstance(most, (int, float)) and 0 < share <= most <= 1):
        raise ValueError(
            "hold: share and most are parts of the channels, 0 < share <= most <= 1, not %r and %r" % (share, most)
        )
    if not isinstance(strength, (int, float)) or not 1e-6 <= strength <= 1e6:
        raise ValueError("hold: strength is a number between 1e-6 and 1e6, not %r" % (strength,))
    return samples, share, most, strength


def chosen(bits):
    """The channels of a mask, one bit each."""
    return array("h", [c for c in range(8 * len(bits)) if bits[c >> 3] >> (c & 7) & 1])


class Holding(Tail):
    """A tail of which some channels are pulled towards what they were.

    reference: bytes that the maps of one sample take; 0 where nothing has been taught before
    """

    def __init__(self, model, choice, width):
        self.held = {}
        if model.head:
            self.held = {t: chosen(bits) for t, bits in model.held.items() if any(bits)}
            self.held[model.ends[2]] = None
        super().__init__(model, choice, width)

    def _read_later(self, reads):
        self.pulled = [op for op, _, _ in self.back if op.y in self.held]
        for op in self.pulled:
            reads[op.y] = max(reads.get(op.y, 0), self._time_back(op))

    def _keep(self, at):
        super()._keep(at)
        self.reference = 0
        for op in self.pulled:
            channels = self.held[op.y]
            self.kept["pull", op.index] = self.size
            self.size += 4
            if channels:
                self.kept["held", op.index] = self.size
                self.size += (2 * len(channels) + 3) & ~3
            self.reference += (self._map_bytes(op) + 3) & ~3
        self.bare = self.size
        self.keep(self.samples)

    def _map_bytes(self, op):
        """Of one sample's reference."""
        size, channels = self.model.nbytes(op.y), self.held[op.y]
        return size if channels is None else size // self.model.shape(op.y)[3] * len(channels)

    def keep(self, samples):
        """Keep references of so many samples: sets size."""
        self.samples = samples if self.reference else 0
        self.size = self.bare + self.samples * self.reference

    def layout(self):
        """And: pulls, (operator, map, its channels or None, place of its weight, offset in a sample's references,
        bytes there) in the forward's order; pull_records, a plan with them, and words, where in it a sample's reference
        is named; references, where they lie; regulated, (operator, map) of trained convolutions.
        """
        fields, lists, pulls, at = super().layout(), [], [], 0
        for op in reversed(self.pulled):
            channels, size = self.held[op.y], self._map_bytes(op)
            pulls.append((op.index, op.y, channels, self.kept["pull", op.index], at, size))
            at += (size + 3) & ~3
            if channels:
                lists.append((self.kept["held", op.index], channels))
        fields["lists"].extend(lists)
        fields["pulls"], fields["pull_records"] = pulls, self._pull_records(fields["records"])
        fields["samples"], fields["reference"], fields["references"] = self.samples, self.reference, self.bare
        fields["regulated"] = [(op.index, op.y) for op in self.ops if op.index in self.choice and op.code <= _DEPTHWISE]
        return fields

    def _pull_records(self, records):
        words = array("i")
        for i, (op, _, _) in enumerate(self.back):
            own = records[16 * i : 16 * i + 16]
            if op in self.pulled:
                channels = self.held[op.y]
                words.extend(array("i", (op.index, PULL, own[2], -1, -1, -1, 0, 0, 0, len(channels or ()))))
                words.extend(array("i", (self.kept.get(("held", op.index), -1), 0)))
                words.extend(array("i", (self.kept["pull", op.index], 0, -1, self.width)))
            words.extend(own)
        return words
