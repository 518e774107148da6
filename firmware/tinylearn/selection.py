"""TinyTrain's choice of what to train (arXiv 2307.09988, algorithm 1): made on the board, from the samples.

One pass over the samples adds up the Fisher information Delta of each channel (equation 2; native_modules/kernels/
fisher.h), and P of a layer is its channels' sum, and its score; by the criterion "both", P / (parameters *
multiply-accumulates), both as shares of the largest layer's (equation 3). Layers are taken by their score as long as
budgets allow, and of each those channels whose Delta is largest. What is compared are integers, so every board chooses
the same.
"""

import gc
from array import array
from collections import namedtuple
from struct import unpack_from

# op: the operator. axis: 0 input, 1 output: whose channels these are, an array('h') of the most important ones, or
# None: all. of: how many there are. worth * 2^exponent: P, without its 1 / (2 N).
Layer = namedtuple("Layer", ("op", "axis", "channels", "of", "worth", "exponent"))

BITS = 32  # of fraction that sums and scores keep


class Look:
    """Layers, and multiply-accumulates and seconds that looking at them has taken."""

    def __init__(self, layers, macs=0, seconds=0):
        self.layers, self.macs, self.seconds = layers, macs, seconds


def look(task, inputs, rows, lay_out):
    """A Look at as many layers as there is RAM to inspect: one pass over the samples. lay_out: training.lay_out"""
    from .support import Support, settled
    from .training import clock, seconds_since, started

    start = clock()
    layout = lay_out(task, len(rows), len(task.labels), inputs, inspect=True)
    support = Support(task.model, layout, task.options["seed"], inputs)
    try:
        started(task, support, rows).step()
        arena = memoryview(support.arena)
        layers = [
            condense(op, axis, layout.ratio, fisher(arena[at : at + 8 * channels]))
            for op, axis, channels, at in layout.fisher
        ]
    finally:
        support.close()
    gc.collect()
    layers = [Layer(*settled(tuple(layer))) for layer in layers]
    return Look(layers, layout.macs, seconds_since(start))


def condense(op, axis, ratio, found):
    """A Layer with its most important channels. found: a number for each of them, and these numbers' exponent."""
    values, exponent = found
    n = len(values)
    k = min(n, -(-int(ratio * 1000 + 0.5) * n // 1000))
    best = _best(values, k) if k < n else None
    return Layer(op, axis, best, n, sum(values), exponent)


def _best(values, k):
    """The k channels with the largest values, the first ones of those that are alike."""
    least = sorted(values, reverse=True)[k - 1]
    alike, best = k - sum([v > least for v in values]), array("h")
    for c, v in enumerate(values):
        if v > least or (v == least and alike > 0):
            best.append(c)
            alike -= v == least
    return best


# ---- What a channel is worth: [number of each channel], their exponent -----------------------------------------------


def fisher(sums):
    """Of tl_fisher_t [channels]: mantissa and exponent, int32 each."""
    pairs = [unpack_from("<ii", sums, at) for at in range(0, len(sums), 8)]
    top = max([exponent for mantissa, exponent in pairs if mantissa] or [0])
    return [
        (mantissa << BITS) >> min(top - exponent, 64) if mantissa else 0 for mantissa, exponent in pairs
    ], top - BITS


def norms(model, op, axis):
    """The square of the L2 norm of its weights."""
    outputs, taps, inputs = op.shape
    scales = _squares(model, op.w, outputs)
    top = max([exponent for _, exponent in scales])
    factors = [square >> min(top - exponent, 64) for square, exponent in scales]
    w, values, at = model.tensor(op.w)[0], [0] * op.channels(axis), 0
    for first in range(taps if inputs == 1 else outputs):  # a depthwise tensor begins with its taps
        for second in range(outputs if inputs == 1 else taps):
            o = second if inputs == 1 else first
            for i in range(inputs):
                v = (w[at] ^ 128) - 128
                values[o if axis or inputs == 1 else i] += v * v * factors[o]
                at += 1
    return values, top


def _squares(model, w, outputs):
    """(mantissa, exponent) of the square of each output channel's scale."""
    from .model import float_parts

    _, scale, _ = model.tensor(w)
    at = model.scales(w)
    parts = [float_parts(model.file[at + 4 * o : at + 4 * o + 4] if at else scale) for o in range(outputs)]
    return [(mantissa * mantissa, 2 * exponent) for mantissa, exponent in parts]


def chances(seed, n):
    """Random numbers."""
    state, values = seed * 2654435761 & 0x3FFFFFFF | 1, []
    for _ in range(n):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        values.append(state)
    return values, 0


def stand_in(model, settings, first=None):
    """A Look by the criteria that need no samples. For the others a forecast, as if all channels were alike; first: the
    Fit of the pass over the samples that will be."""
    from .tuning import axis_of, inspected

    layers = []
    for op in inspected(model, settings):
        axis = axis_of(op, settings)
        n = op.channels(axis)
        if settings.criterion == "l2":
            found = norms(model, op, axis)
        elif settings.criterion == "random":
            found = chances(settings.seed + op.index, n)
        else:
            found = [1] * n, 0
        layer = condense(op.index, axis, settings.ratio, found)
        if settings.criterion == "random":  # large layers are no likelier
            layer = Layer(op.index, axis, layer.channels, n, found[0][0], 0)
        layers.append(layer)
    return Look(layers, first.macs(), first.seconds or 0) if first else Look(layers)


# ---- Choosing --------------------------------------------------------------------------------------------------------


def scores(layers, ops, criterion):
    """[(score, layer)], the best first; an integer each. ops: {operator: tail.Operator}"""
    top, found = max([layer.exponent for layer in layers if layer.worth] or [0]), []
    for layer in layers:
        op = ops[layer.op]
        score = (layer.worth << 2 * BITS) >> min(top - layer.exponent, 4 * BITS) if layer.worth else 0
        if criterion in ("both", "fisher/memory"):
            score //= op.parameters()
        if criterion in ("both", "fisher/compute"):
            score //= op.macs
        found.append((score, layer.op, layer))
    return [(score, layer) for score, _, layer in sorted(found, key=lambda row: (-row[0], -row[1]))]


def select(budgets, found):
    """The Fit of the layers with the best scores that fit together, each of them as long as it still does; or None.

    Fewer steps than asked for are made only where else there is no time for any layer.
    """
    from .tail import backward

    model, settings = budgets.model, budgets.settings
    ops = {op.index: op for op in backward(model)}
    order = scores(found.layers, ops, settings.criterion)
    everything = sum([op.macs_input + op.macs_weight for op in ops.values()])
    most = int(settings.compute * 1000 + 0.5) * everything // 1000
    settings.before = found.macs, found.seconds
    for hurry in (False, True):
        chosen, best = {}, None
        for _, layer in order:
            for trial in _trials(chosen, layer, ops[layer.op].flags & 3):
                fit = budgets.fit(trial, settings.width, hurry) if macs_back(ops, trial) <= most else None
                if fit:
                    chosen, best = trial, fit
                    break
        if best:
            best.order = order
            return best
    least = min([macs_back(ops, next(_trials({}, layer, ops[layer.op].flags & 3))) for _, layer in order])
    if least > most:
        share = (1000 * least // everything + 1) / 1000
        raise ValueError(
            "compute=%s allows %d multiply-accumulates on a sample's way back, and the least takes %d: compute=%s does"
            % (settings.compute, most, least, share)
        )
    return None


def _trials(chosen, layer, flags):
    """A choice with the chosen channels of one layer more; or with all channels of all its layers, which take no lists:
    where RAM ends, these bytes may be what is missing.
    """
    from .tail import Trained, whole

    count = len(layer.channels) if layer.channels else 0
    trial = dict(chosen)
    trial[layer.op] = Trained(flags, layer.axis, 0, count, layer.channels)
    yield trial
    if any(part.list for part in trial.values()):
        yield {op: whole(part.flags) for op, part in trial.items()}


def macs_back(ops, choice):
    """Multiply-accumulates of one sample's way back to the first layer of a choice, and of its weights' steps."""
    first, macs = min(choice), 0
    for op in ops.values():
        if op.index > first:
            macs += op.macs_input
        if op.index in choice:
            outputs, inputs = op.chosen(choice[op.index])
            macs += op.macs_weight * outputs // op.shape[0] * inputs // op.shape[2]
    return macs
