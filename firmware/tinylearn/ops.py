"""Single operators on buffers, with the bits of the TFLite int8 specification: to build or test a network by hand.

    from tinylearn import ops
    y = bytearray(8 * 8 * 4)
    ops.conv2d(x, (8, 8, 1), w, (4, 3, 3, 1), b, ops.requant([0.01] * 4), y, (8, 8, 4), pad=(1, 1))

Buffers: x, y int8, activations (height, width, channels); w int8, symmetric; b int32 [out channels], or None: any
object with the buffer protocol whose bytes are that: array('b'), bytearray, memoryview. y is written, and given back.
Zero points and clamps are those of the quantised tensors: real = scale * (int8 - zero). clamp=(minimum, maximum) of y
is what ReLU (y_zero, 127) and ReLU6 are. requant is what `requant` makes of x_scale * w_scale / y_scale per channel.
ValueError says which buffer or number does not fit.
"""

from array import array
from math import frexp
from struct import pack

import tl_infer

from .model import fail

_CONV2D, _DEPTHWISE, _DENSE, _AVERAGE, _MAXIMUM, _MEAN, _ADD, _PAD, _CLAMP, _SOFTMAX = range(1, 11)
_INT8 = (-128, 127)


def multiplier(real):
    """(m, shift) of a real number from 0: about m * 2**(shift - 31), as TFLite's QuantizeMultiplier."""
    fraction, shift = frexp(real)
    m = int(fraction * (1 << 31) + 0.5)
    if m == 1 << 31:
        m, shift = m >> 1, shift + 1
    return (m, shift) if shift >= -31 else (0, 0)


def requant(reals):
    """The requantisation buffer of the convolutions: int32 multipliers, then int8 shifts, one per output channel."""
    pairs = [multiplier(real) for real in reals]
    return bytes(array("i", [m for m, _ in pairs])) + bytes(array("b", [shift for _, shift in pairs]))


def dense_scale(reals):
    """The requantisation buffer of fully_connected: float64 x_scale * w_scale / y_scale, one per output."""
    return pack("<%dd" % len(reals), *reals)


def _fields(*parts):
    """One array of the integers in several sequences."""
    fields = array("i")
    for part in parts:
        fields.extend(array("i", part))
    return fields


def _op(code, fields, x, y, x2=None, w=None, b=None, requant=None, scratch=None):
    status = tl_infer.op(_fields((code,), fields), x, x2, w, b, requant, y, scratch)
    if status:
        fail(status, "this operator")
    return y


def _window(x_shape, y_shape, kernel, stride, dilation, pad, x_zero, y_zero, clamp):
    return _fields(x_shape, y_shape, kernel, stride, dilation, pad, (x_zero, y_zero), clamp)


def conv2d(
    x,
    x_shape,
    w,
    w_shape,
    b,
    requant,
    y,
    y_shape,
    stride=(1, 1),
    dilation=(1, 1),
    pad=(0, 0),
    x_zero=0,
    y_zero=0,
    clamp=_INT8,
):
    """x (h, w, i), w (o, kh, kw, i) -> y (h', w', o). pad: rows above, columns to the left; y_shape tells the rest."""
    fields = _window(x_shape, y_shape, w_shape[1:3], stride, dilation, pad, x_zero, y_zero, clamp)
    return _op(_CONV2D, fields, x, y, w=w, b=b, requant=requant)


def depthwise_conv2d(
    x,
    x_shape,
    w,
    w_shape,
    b,
    requant,
    y,
    y_shape,
    stride=(1, 1),
    dilation=(1, 1),
    pad=(0, 0),
    x_zero=0,
    y_zero=0,
    clamp=_INT8,
):
    """x (h, w, i), w (kh, kw, o) -> y (h', w', o); output channel o reads input channel o // (o / i)."""
    fields = _window(x_shape, y_shape, w_shape[:2], stride, dilation, pad, x_zero, y_zero, clamp)
    return _op(_DEPTHWISE, fields, x, y, w=w, b=b, requant=requant)


def fully_connected(x, w, b, scale, y, x_zero=0, y_zero=0, clamp=_INT8):
    """x (i), w (o, i) -> y (o). scale: what dense_scale makes."""
    return _op(_DENSE, _fields((len(x), len(y), x_zero, y_zero), clamp), x, y, w=w, b=b, requant=scale)


def avg_pool(x, x_shape, y, y_shape, kernel, stride=None, pad=(0, 0), clamp=_INT8):
    """x (h, w, c) -> y (h', w', c): means of the windows, of what of them lies inside. Scale and zero point stay."""
    return _op(_AVERAGE, _window(x_shape, y_shape, kernel, stride or kernel, (1, 1), pad, 0, 0, clamp), x, y)


def max_pool(x, x_shape, y, y_shape, kernel, stride=None, pad=(0, 0), clamp=_INT8):
    """x (h, w, c) -> y (h', w', c): the windows' maxima. Scale and zero point stay."""
    return _op(_MAXIMUM, _window(x_shape, y_shape, kernel, stride or kernel, (1, 1), pad, 0, 0, clamp), x, y)


def mean(x, x_shape, y, ratio=1.0, x_zero=0, y_zero=0):
    """x (h, w, c) -> y (c): means over the image. ratio: x_scale / y_scale."""
    pixels = x_shape[0] * x_shape[1]
    m, shift = multiplier(ratio)
    fold = min(_log2(pixels), 32, 31 + shift)
    return _op(_MEAN, (pixels, x_shape[2], x_zero, y_zero, (m << fold) // pixels, shift - fold), x, y)


def _log2(n):
    bits = 0
    while n > 1:
        n >>= 1
        bits += 1
    return bits


def add(x, x2, y, scales, zeros=(0, 0, 0), clamp=_INT8):
    """y = x + x2, element by element. scales, zeros: of x, x2 and y. y may be x or x2."""
    larger = 2 * max(scales[:2])
    parts = multiplier(scales[0] / larger), multiplier(scales[1] / larger), multiplier(larger / ((1 << 20) * scales[2]))
    return _op(_ADD, _fields((len(x),), zeros, clamp, (20,), *parts), x, y, x2=x2)


def pad(x, x_shape, y, y_shape, before=(0, 0, 0), value=0):
    """x (h, w, c) inside y (h', w', c'), before=(rows, columns, channels) of value in front, the rest behind."""
    return _op(_PAD, _fields(x_shape, y_shape, before, (value,)), x, y)


def clamp(x, y, ratio=1.0, x_zero=0, y_zero=0, limits=_INT8):
    """y = x brought to another scale (ratio: x_scale / y_scale) and zero point, between limits. y may be x."""
    return _op(_CLAMP, _fields((len(x), x_zero, y_zero), limits, multiplier(ratio)), x, y)


def softmax(x, y, scale, beta=1.0, rows=1):
    """y = softmax of each row of x, with scale 1/256 and zero point -128. scale: of x."""
    return _op(
        _SOFTMAX, _fields((rows, len(x) // rows), multiplier(min(beta * scale * (1 << 26), (1 << 31) - 1))), x, y
    )
