"""Random views of samples: from amounts in words to what the kernel takes (native_modules/kernels/augment.h).

    params = augment.parameters(model)           # what the model's file says suits it, or its domain
    params = augment.parameters(model, {"shift": (2, 2), "rotate": 10, "noise": 4})
    tl_train.augment(params, x, out, state)      # x, out: int8 buffers of the model's input; state: array('I', [seed])

Amounts, all optional; each is the most by which a view may differ, and 0 is off:

    shift           pixels, (rows, columns) or a number for both
    time_shift      steps of time: rows, or columns where there is one row
    border          what comes in from outside: "zero" (point), "edge" or "wrap"
    flip            probability of changing left and right, 0 .. 1
    rotate          degrees, 0 .. 90
    zoom, shear     0 .. 0.5 and 0 .. 1
    gain            0 .. 1, of the distance to the zero point; channel_gain: one more for each channel
    offset          quantised steps, 0 .. 127; channel_offset: one more for each channel. In a logarithm this is a gain
    noise           its standard deviation in quantised steps, 0 .. 32
    mask            pixels, (rows, columns) or a number for both: bands that are blotted out
    time_mask, frequency_mask    the same by the axes' names
"""

from array import array
from struct import unpack_from

# name: (first field of params, largest amount, what 1 is there)
_NUMBERS = {
    "flip": (7, 1, 16384),
    "rotate": (8, 90, 286),  # degrees to radians
    "zoom": (9, 0.5, 16384),
    "shear": (10, 1, 16384),
    "gain": (11, 1, 4096),
    "channel_gain": (12, 1, 4096),
    "offset": (13, 127, 256),
    "channel_offset": (14, 127, 256),
    "noise": (15, 32, 256),
}
_PAIRS = {"shift": 5, "mask": 16}
_AXES = {"time_shift": (5, 0), "time_mask": (16, 0), "frequency_mask": (16, 1)}  # of rows and columns: time is 0
_BORDERS = "zero", "edge", "wrap"
_FIELDS = 18


def defaults(domain, h, w):
    """Amounts that suit a domain, for h rows and w columns: "image", "spectrogram" or "signal"."""
    time = h if h > 1 else w
    if domain == "image":
        return {
            "shift": ((h + 15) // 16, (w + 15) // 16),
            "rotate": 8,
            "zoom": 0.1,
            "shear": 0.1,
            "border": "edge",
            "gain": 0.1,
            "noise": 2,
        }
    if domain == "spectrogram":
        return {"time_shift": time // 10, "border": "edge", "offset": 8, "noise": 3, "time_mask": time // 8}
    if domain == "signal":
        return {"time_shift": time // 10, "border": "edge", "gain": 0.15, "channel_gain": 0.1, "noise": 3}
    raise ValueError("augment: the domain is 'image', 'spectrogram' or 'signal', not %r" % (domain,))


def parameters(model, amounts=None):
    """What tl_train.augment takes for a model's samples: array('i'). ValueError says which amount is wrong.

    amounts: a dict as above, or a domain for its defaults; None: what the model's file says of either.
    """
    _, h, w, c = unpack_from("<4H", model.file, model._record(unpack_from("<H", model.file, 52)[0]) + 8)
    if amounts is None:
        meta = model.meta
        amounts = meta.get("augment") or meta.get("domain") or {}
    if isinstance(amounts, str):
        amounts = defaults(amounts, h, w)
    if not isinstance(amounts, dict):
        raise ValueError("augment is a dict of amounts or the name of a domain, not %r" % (amounts,))
    return pack(amounts, h, w, c, model.x_zero)


def pack(amounts, h, w, c, zero):
    """array('i') that tl_train.augment takes for samples of h rows, w columns and c channels."""
    params = array("i", (0 for _ in range(_FIELDS)))
    params[0], params[1], params[2], params[3] = h, w, c, zero
    for name in amounts:
        amount = amounts[name]
        if name == "border":
            if amount not in _BORDERS:
                raise ValueError("augment: border is 'zero', 'edge' or 'wrap', not %r" % (amount,))
            params[4] = _BORDERS.index(amount)
        elif name in _NUMBERS:
            at, most, one = _NUMBERS[name]
            params[at] = (_thousandths(name, amount, most) * one + 500) // 1000
        elif name in _PAIRS:
            rows, columns = amount if isinstance(amount, (tuple, list)) and len(amount) == 2 else (amount, amount)
            params[_PAIRS[name]] = _pixels(name, rows, h, "rows")
            params[_PAIRS[name] + 1] = _pixels(name, columns, w, "columns")
        elif name in _AXES:
            at, axis = _AXES[name]
            if h == 1:
                axis = 1 - axis
            params[at + axis] = _pixels(name, amount, (h, w)[axis], ("rows", "columns")[axis])
        else:
            raise ValueError("augment: there is no %r; known are %s" % (name, ", ".join(_known())))
    return params


def _known():
    return sorted(list(_NUMBERS) + list(_PAIRS) + list(_AXES) + ["border"])


def _thousandths(name, amount, most):
    """An integer, so that boards whose floats have 32 bits get the same."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount <= most:
        raise ValueError("augment: %s is a number from 0 to %s, not %r" % (name, most, amount))
    return int(amount * 1000 + 0.5)


def _pixels(name, amount, n, what):
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= n:
        raise ValueError("augment: %s is a whole number from 0 to %d, for %d %s, not %r" % (name, n, n, what, amount))
    return amount
