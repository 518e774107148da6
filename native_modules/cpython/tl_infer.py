"""tl_infer for CPython: the native module's functions (tl_infer/modtl_infer.c) on the same C. This is the simulator.

Integers and buffers in, a status out: 0, or a code + 256 * the index of what it is about (kernels/program.h).
Buffers are anything with the buffer protocol: bytes, bytearray, array, memoryview, a contiguous numpy array.
"""

from ctypes import c_int32, c_size_t, c_uint32, c_void_p

from tinylearn_library import SPANS, Span, Spans, after, function

_check = function("tl_check", c_void_p, c_size_t)
_run = function("tl_run", c_void_p, c_size_t, Span, c_int32, c_int32, Span, Span)
_op = function("tl_op", SPANS, SPANS)
_pixels = function("tl_pixels", SPANS)
_crc32 = function("tl_crc32", c_uint32, c_void_p, c_size_t, result=c_uint32)
_head_scores = function("tl_head_scores", SPANS, SPANS)
_head_softmax = function("tl_head_softmax", SPANS, SPANS)


def check(model):
    """Verify a whole .tlm file."""
    with Spans(read=(model,)) as (file,):
        return _check(file.at, file.bytes)


def run(model, arena, first, last, places=None, masks=None):
    """Run operators first .. last-1.

    places: int32 per tensor: -1 = as the file says, else an offset in the arena. masks: int32 per operator: -1, or an
    offset in the arena where it leaves its clip bits.
    """
    with Spans(read=(model, places, masks), write=(arena,)) as (file, moved, clips, memory):
        return _run(file.at, file.bytes, memory, first, last, moved, clips)


def op(params, x, x2, w, b, requant, y, scratch):
    """Run one operator. params: int32 code, then the fields of its geometry. None where it has no such buffer."""
    with Spans(read=(params, x, x2, w, b, requant), write=(y, scratch)) as spans:
        return _op(spans, after(spans, 1))


def pixels(dst, src):
    """dst int8 [n] = src uint8 [n] - 128."""
    with Spans(read=(src,), write=(dst,)) as (values, out):
        return _pixels((Span * 2)(out, values))


def crc32(data, seed=0):
    """CRC-32 as zlib's."""
    with Spans(read=(data,)) as (span,):
        return _crc32(seed, span.at, span.bytes)


def head_scores(params, x, w, b, logits):
    """logits int32 [k] of a head: params int32 (n, k, zero, mult, shift), x int8 [n], w int16 [k, n], b int32 [k]."""
    with Spans(read=(params, x, w, b), write=(logits,)) as spans:
        return _head_scores(spans, after(spans, 1))


def head_softmax(logits, probabilities):
    """probabilities int32 [k] of logits int32 [k]; 1 is 32768."""
    with Spans(read=(logits,), write=(probabilities,)) as spans:
        return _head_softmax(spans, after(spans, 1))
