"""Learning task after task without forgetting: channels that earlier tasks used are held (LightCL, arXiv 2407.10545).

Nothing of old samples is kept. Before a later task is trained, its own first samples run through the network as it is,
and what the held channels give is kept; each step pulls them back there (docs/training.md). After a task its most
active channels are held, too: one bit per channel of a map, in the .tld.
"""

from array import array
from math import frexp

import tl_infer

from .model import allocate, fail

PULL = 64  # holding.PULL, whose module is gone by now


class Hold:
    """What the network gave for `samples` of its samples before it was trained further, and how that pulls.

    view: of those samples, one and the same in all steps, so that its maps can be compared: the pull joins the loss's
    gradient, and both make one step. Steps of their own would be too small for weights of 8 bits: what is rounded at
    random moves the features more than the pull brings them back.
    """

    def __init__(self, training, strength):
        self.training, self.layout = training, training.layout
        self.records = self.layout.pull_records
        words = [at + 14 for at in range(0, len(self.records), 16) if self.records[at + 1] == PULL]
        words.reverse()  # in the forward's order, as pulls are
        self.words = [(at, self.layout.pulls[i][4]) for i, at in enumerate(words)]
        self.view = min(1, training.support.views)
        self._remember()
        for pull in self.layout.pulls:
            self._weigh(pull, strength)

    def _remember(self):
        """The references of all samples: channels of the maps, while the samples run through the tail."""
        training, layout = self.training, self.layout
        for i in range(layout.samples):
            at = layout.references + i * layout.reference
            for (_, t, channels, _, offset, size), y in each_map(training, i, self.view, layout.pulls):
                params = array("i", (training.model.shape(t)[3],))
                on = channels or array("h", range(params[0]))
                there = memoryview(training.support.arena)[at + offset : at + offset + size]
                _call(training.grad.channel_maps, params, y, on, there)

    def _weigh(self, pull, strength):
        """The weight of a map's pull: strength * the mean of squared changes, in units of the reference's mean size.

        2 strength / (elements of a map * (mean |F*|)^2), in integers, so that every board has the same bits
        """
        _, t, channels, weight, offset, size = pull
        layout, arena = self.layout, memoryview(self.training.support.arena)
        k = len(channels) if channels else self.training.model.shape(t)[3]
        params, sums = array("i", (k, self.training.model.tensor(t)[2])), array("i", (0 for _ in range(k)))
        for i in range(layout.samples):
            at = layout.references + i * layout.reference + offset
            _call(self.training.grad.activity, params, arena[at : at + size], sums)
        elements = layout.samples * size
        total = max(sum(sums), elements)  # a mean of one integer at least
        mantissa, exponent = frexp(strength)
        above, below, shift = int(mantissa * 16384 + 0.5) * elements * layout.samples, total * total, exponent - 13
        while above < below << 14:
            above, shift = above << 1, shift - 1
        while above >= below << 15:
            below, shift = below << 1, shift + 1
        arena[weight : weight + 4] = bytes(array("h", (above // below, shift)))

    def plan(self, i):
        """The backward's records for sample i: with its maps' pull towards their reference."""
        at = self.layout.references + i * self.layout.reference
        for word, offset in self.words:
            self.records[word] = at + offset
        return self.records


def each_map(training, i, view, maps):
    """Run a view of sample i through the tail: each of maps, (operator, tensor, ...), and its bytes."""
    model, layout, arena = training.model, training.layout, training.support.arena
    training.support.find(i, view)
    first = layout.first
    for wanted in maps:
        _call(tl_infer.run, model.file, arena, first, wanted[0] + 1, layout.places)
        at = layout.places[wanted[1]]
        yield wanted, memoryview(arena)[at : at + model.nbytes(wanted[1])]
        first = wanted[0] + 1


def _call(function, *arguments):
    status = function(*arguments)
    if status:
        fail(status, "training")


# ---- What is held ----------------------------------------------------------------------------------------------------


def held_after(training, share, most):
    """{map: a bit for each channel} of what is held from now on: as before, and the most active channels of this task.

    share: of each map's channels that a task adds at most; most: of them that are held in the end
    """
    model, layout = training.model, training.layout
    sums = {t: allocate(4 * model.shape(t)[3], "the activity of channels") for _, t in layout.regulated}
    for i in range(training.support.count):
        for (_, t), y in each_map(training, i, 0, layout.regulated):
            params = array("i", (model.shape(t)[3], model.tensor(t)[2]))
            _call(training.grad.activity, params, y, sums[t])
    held = {t: bytearray(bits) for t, bits in model.held.items()}
    for t in sums:
        activity = array("i", sums[t])
        bits = held.setdefault(t, bytearray((len(activity) + 7) >> 3))
        _add(bits, activity, int(share * len(activity) + 0.5) or 1, int(most * len(activity) + 0.5) or 1)
    return held


def _add(bits, activity, count, most):
    """Hold the `count` most active channels, the most active first, while no more than `most` are."""
    there = sum([bits[c >> 3] >> (c & 7) & 1 for c in range(len(activity))])
    order = sorted(range(len(activity)), key=lambda c: (-activity[c], c))
    for c in order[:count]:
        if there < most and not bits[c >> 3] >> (c & 7) & 1:
            bits[c >> 3] |= 1 << (c & 7)
            there += 1
