"""What adapting takes, before anything is allocated."""

import sys
import time
from collections import namedtuple

from .model import fail

# bytes: RAM that adapt takes at its peak, beyond what is loaded: features + head + training + code.
# seconds: on this board, from one forward run of the frozen network, timed now.
# model, arena: bytes in RAM already (model: 0 where the file is memory-mapped). features: those of all samples, cached.
# head: sums, counts, rows. training: the work space of last_layer. code: modules that the first adapt loads.
Plan = namedtuple("Plan", ("method", "bytes", "seconds", "model", "arena", "features", "head", "training", "code"))

_CYCLES_PER_MAC = 16  # of the heads on a Cortex-M0+, measured
_MODULES = ("teaching", "head", "tl_train")


def plan(model, method, ways, shots, steps):
    if method not in ("prototype", "last_layer"):
        raise ValueError("method is 'prototype' or 'last_layer', not %r" % (method,))
    if not (isinstance(ways, int) and isinstance(shots, int) and ways >= 2 and shots >= 1):
        raise ValueError("ways is a whole number from 2 and shots one from 1, not %r and %r" % (ways, shots))
    n, samples = len(model.f), ways * shots
    features = samples * (n + 1)
    head = ways * (6 * n + 16)
    training, seconds = 0, samples * _forward(model)
    if method == "last_layer":
        steps = 40 if steps is None else steps
        training = 4 * (samples * ways + samples + n + 2 * ways) + 2 * n
        seconds += 3 * steps * samples * ways * n * _CYCLES_PER_MAC / _frequency()
    code = _code()
    return Plan(
        method,
        features + head + training + code,
        seconds,
        _in_ram(model),
        len(model.arena),
        features,
        head,
        training,
        code,
    )


def _forward(model):
    """Seconds of one run of the frozen network, measured."""
    import tl_infer

    start = time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter()
    status = tl_infer.run(model.file, model.arena, 0, model.first_of_head)
    if hasattr(time, "ticks_us"):
        seconds = time.ticks_diff(time.ticks_us(), start) / 1000000
    else:
        seconds = time.perf_counter() - start
    if status:
        fail(status, "the model")
    return seconds


def _frequency():
    """The core's clock in Hz; on a computer a guess."""
    try:
        from machine import freq

        f = freq()
        return f[0] if isinstance(f, tuple) else f
    except (ImportError, AttributeError):
        return 10000000000


def _in_ram(model):
    return 0 if model.mapped else len(model.file)


def _code():
    """The bytes of the .mpy files that are not loaded yet, which is about what they take in RAM."""
    import os

    total = 0
    for name in _MODULES:
        if name in sys.modules or "tinylearn." + name in sys.modules:
            continue
        for folder in sys.path:
            path = (folder + "/" if folder else "") + ("" if name == "tl_train" else "tinylearn/") + name + ".mpy"
            try:
                total += os.stat(path)[6]
                break
            except OSError:
                pass
    return total
