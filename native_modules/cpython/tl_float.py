"""tl_float for CPython: the native module's function (native_modules/tl_float/modtl_float.c) on the same C."""

from ctypes import c_int32

from tinylearn_library import SPANS, Span, Spans, function

_quantize = function("tl_quantize", SPANS, c_int32)


def quantize(dst, src, scale, zero_point):
    """dst int8 [n] = src float32 [n] / scale float32 [1] + zero_point, rounded and clamped as TFLite does."""
    with Spans(write=(dst,)) as (out,), Spans(read=(src, scale)) as (values, step):
        return _quantize((Span * 3)(out, values, step), zero_point)
