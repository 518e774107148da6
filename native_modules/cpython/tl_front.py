"""tl_front for CPython: the native module's functions (native_modules/tl_front/modtl_front.c) on the same C.

Buffers in, an integer out; what each function does and the shapes of its buffers: kernels/front.h.
"""

from tinylearn_library import SPANS, Spans, after, function

_scratch = function("tl_front_scratch", SPANS)
_run = function("tl_front_run", SPANS, SPANS)


def scratch(section):
    """Bytes of scratch that a front end needs, or -1 where the section is none."""
    with Spans(read=(section,)) as spans:
        return _scratch(spans)


def run(section, samples, picture, scratch):
    """picture int8 [frames, bins] of a sensor's samples."""
    with Spans(read=(section, samples), write=(picture, scratch)) as spans:
        return _run(spans, after(spans, 1))
