"""What adapting takes, before anything is allocated."""

import sys
import time
from collections import namedtuple

from .model import fail, free

# bytes: RAM that adapt takes at its peak, beyond what is loaded: features + head + training + code.
# seconds: on this board, from one forward run of the frozen network's operators, timed now.
# model, arena: bytes in RAM already (model: 0 where the file is memory-mapped). features: those of all samples, cached.
# head: sums, counts, rows. training: the work space of closed_form or last_layer; of head='auto' the larger, and one
# more head; of a method that trains the network the arena that it is trained in, what is kept per sample, and the best
# weights. code: modules that the first adapt loads. Of a method that trains the network: operators, those of which
# something is trained; steps; cache, where the samples are kept ("ram", "flash", "recompute"), flash, bytes of a file;
# panels, bytes of packed weights that stay, as there is room for them, and saved, seconds of a step.
Plan = namedtuple(
    "Plan",
    ("method", "bytes", "seconds", "model", "arena", "features", "head", "training", "code")
    + ("operators", "steps", "cache", "flash", "panels", "saved"),
)

# How fast a board is: seconds of each of the frozen network's operators, the core's clock in Hz.
Pace = namedtuple("Pace", ("times", "hz"))

_CYCLES_PER_MAC = 16  # of the heads on a Cortex-M0+, measured
_LOADING = 36e6  # cycles in which code is loaded
_MODULES = ("teaching", "head", "auto", "tl_train")
_TAIL_MODULES = ("tuning", "training", "support", "tail", "augment")


def plan(model, method, ways, shots, steps, head=None, options=None):
    code = _code(_MODULES)
    from .head import AUTO, CLOSED, FOLDS, TAILS, check_method, head_bytes, work_bytes

    check_method(method, head)
    if method == AUTO:  # what it takes where it trains
        from . import auto

        trains = model.section(b"BWD ")[2]
        method, steps = (auto.METHODS[0], steps or auto.STEPS) if trains else ("closed_form", steps)
    if not (isinstance(ways, int) and isinstance(shots, int) and ways >= 2 and shots >= 1):
        raise ValueError("ways is a whole number from 2 and shots one from 1, not %r and %r" % (ways, shots))
    if method in TAILS:
        return _of_tail(model, method, ways, shots, steps, options or {}, code)
    n, samples = len(model.f), ways * shots
    features = samples * (n + 1)
    taught, training = head_bytes(n, ways), work_bytes(AUTO if head == AUTO else method, n, ways, samples)
    cycles = _cycles(method, n, ways, samples, 40 if steps is None else steps)
    if head == AUTO:  # each that is tried is made of four fifths of the samples at a time, and then one of all
        one, fold = [_cycles("closed_form", n, ways, count, 0) for count in (samples, samples - samples // FOLDS)]
        cycles = one + FOLDS * (len(CLOSED) * fold + _cycles("prototype", n, ways, samples, 0))
    return Plan(
        method,
        features + taught + training + code,
        samples * forward_seconds(model) + (_LOADING + cycles) / frequency(),
        _in_ram(model),
        len(model.arena),
        features,
        taught,
        training,
        code,
        (),
        steps or 0,
        None,
        0,
        0,
        0,
    )


def _of_tail(model, method, ways, shots, steps, options, code):
    code += _code(_TAIL_MODULES + (("selection",) if method == "tinytrain" else ()))
    if options.get("continual"):
        code += _code(("continual", "holding") if options["continual"] == "lightcl" else ("replay",))
    from .tuning import Settings, find

    settings = Settings(model, dict(options, method=method, steps=steps))
    fit = find(model, method, ways * shots, ways, settings, free(), measured(model))
    code += _code((settings.module,))
    features = fit.count * len(model.f)
    return Plan(
        method,
        fit.bytes + code,
        fit.seconds,
        _in_ram(model),
        len(model.arena),
        features,
        fit.head,
        fit.bytes - features - fit.head,
        code,
        tuple(sorted(fit.tail.choice)),
        fit.steps,
        fit.cache,
        fit.flash,
        fit.panel_bytes,
        fit.saved,
    )


def _cycles(method, n, k, samples, steps):
    """Cycles on a Cortex-M0+ for one head from cached features."""
    if method == "last_layer":
        return 3 * steps * samples * k * n * _CYCLES_PER_MAC
    if method == "closed_form":  # measured, too: products of differences from a mean, 64-bit sums, divisions
        m = min(n, samples)
        products = m * m * max(n, samples) // 2 + (2 * k * samples * n if samples < n else 0)
        return 125 * products + 160 * (m * m * m // 6 + k * m * m) + 2500 * k * n
    return samples * n * _CYCLES_PER_MAC


def measured(model):
    """Pace, here and now."""
    return Pace(operator_seconds(model), frequency())


def forward_seconds(model):
    """Seconds of one run of the frozen network, measured."""
    return sum(operator_seconds(model))


def operator_seconds(model):
    """Seconds of each of the frozen network's operators, in one run of it."""
    import tl_infer

    found, (clock, since) = [], _clock()
    for i in range(model.first_of_head):
        start = clock()
        status = tl_infer.run(model.file, model.arena, i, i + 1, model.places)
        found.append(since(clock(), start) / 1000000)
        if status:
            fail(status, "the model")
    return found


def _clock():
    """(microseconds now, their difference)"""
    if hasattr(time, "ticks_us"):
        return time.ticks_us, time.ticks_diff
    return (lambda: time.perf_counter() * 1000000), (lambda end, start: end - start)


def frequency(guess=10000000000):
    """The core's clock in Hz; on a computer a guess."""
    try:
        from machine import freq

        f = freq()
        return f[0] if isinstance(f, tuple) else f
    except (ImportError, AttributeError):
        return guess


def _in_ram(model):
    return 0 if model.mapped else len(model.file)


def _code(modules):
    """The bytes of the .mpy files that are not loaded yet, which is about what they take in RAM."""
    import os

    total = 0
    for name in modules:
        if name in sys.modules or "tinylearn." + name in sys.modules:
            continue
        for folder in sys.path:
            path = (folder + "/" if folder else "") + ("" if name[:3] == "tl_" else "tinylearn/") + name + ".mpy"
            try:
                total += os.stat(path)[6]
                break
            except OSError:
                pass
    return total
