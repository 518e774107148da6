"""Random operators with weights on the way back, with as much scratch as fast kernels want, or less: golden vectors in
the manner of tests/golden/backward.bin, made by the simulator's kernels, which are C."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
from tinylearn_host import ir, simulator, tlm, variants

sys.path.append(str(Path(__file__).resolve().parents[1] / "kernels"))

from graphs_backward import Maker
from make_golden_backward import BACKWARD, MAGIC, RATE, VERSION, back, record
from tail import BIAS, STATE, WEIGHTS, Train

simulator.on_path()

import tl_grad  # noqa: E402
import tl_infer  # noqa: E402

FORMS = (ir.CONV2D, ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.DEPTHWISE_CONV2D, ir.FULLY_CONNECTED, "pointwise")
FILTERED = {"pointwise": 0.5, ir.CONV2D: 0.1, ir.DEPTHWISE_CONV2D: 0.1}  # how often
STEPS = range(-36, -17)  # exponents of rates: from steps that are next to nothing to some of many units


def window(rng: np.random.Generator) -> dict:
    """Any window, and an image that it fits, as arguments of Maker.window; half of them what networks are made of."""
    while True:
        k, s, d = (rng.choice(options, 2) for options in ([1, 2, 3, 3, 4, 5], [1, 1, 2, 3], [1, 1, 1, 2]))
        if rng.random() < 0.5:
            k, s, d = np.full(2, 3), np.full(2, rng.choice([1, 1, 2])), np.ones(2, int)
        reach = (k - 1) * d
        before, after = (np.array([rng.integers(0, most + 1) for most in reach]) for _ in range(2))
        if rng.random() < 0.6:
            before, after = reach // 2, reach - reach // 2
        x = rng.integers(1, 15, 2)
        y = (x + before + after - reach - 1) // s + 1
        if (y >= 1).all() and ((y - 1) * s - before < x).all():
            return {
                "x": tuple(map(int, x)),
                "kernel": tuple(map(int, k)),
                "stride": tuple(map(int, s)),
                "dilation": tuple(map(int, d)),
                "padding": tuple(map(int, (*before, *after))),
            }


def graph(rng: np.random.Generator, seed: int, form: str) -> tuple[ir.Graph, variants.Window]:
    maker = Maker(seed)
    in_c = int(rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 33]))
    if form == ir.FULLY_CONNECTED:
        n, channels = int(rng.choice([in_c, 40, 64, 70])), int(rng.integers(1, 40))
        x = maker.activation((n,))
        maker.dense(x, channels)
        g = variants.dense_window(n, channels)
    else:
        w = window(rng)
        if form == "pointwise":
            w |= {"kernel": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0)}
        depthwise = form == ir.DEPTHWISE_CONV2D
        channels = in_c * int(rng.choice([1, 1, 1, 2, 3])) if depthwise else int(rng.choice([1, 3, 8, 16, 17, 40]))
        x = maker.activation((*w["x"], in_c))
        shape = w.pop("x")
        y = maker.window(ir.DEPTHWISE_CONV2D if depthwise else ir.CONV2D, x, channels, **w)
        y = maker.tensors[y].shape
        g = variants.Window((*shape, in_c), y, w["kernel"], w["stride"], w["dilation"], w["padding"][:2])
    weights = next(t for name, t in maker.tensors.items() if name.startswith("w"))
    if rng.random() < 0.3:  # the widest
        weights.data[:] = rng.choice([-128, 127], weights.data.shape)
    return maker.graph(x), g


def chosen(rng: np.random.Generator, g: variants.Window, depthwise: bool) -> Train:
    """All of it, a run of channels, or a list, of inputs or outputs."""
    flags, axis = int(rng.choice([WEIGHTS, WEIGHTS | BIAS])), int(rng.integers(0, 2))
    n = g.y[2] if axis or depthwise else g.x[2]
    count = int(rng.integers(1, n + 1))
    kind = rng.integers(0, 4)
    rates = {**RATE, "weight_rate": (20000, int(rng.choice(STEPS)))}
    if kind == 2:
        return Train(flags, int(rng.integers(0, n - count + 1)), count, None, axis, **rates)
    if kind == 3:
        return Train(flags, 0, 0, sorted(map(int, rng.choice(n, count, replace=False))), axis, **rates)
    return Train(flags, **rates)


def records(seed: int, count: int, lean: bool = False) -> list[bytes]:
    """lean: what tl_grad knows (TL_LEAN of gradient.h)"""
    found = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        form, width = FORMS[i % len(FORMS)], 8 if lean else (8, 16)[i // len(FORMS) % 2]
        model, g = graph(rng, seed * count + i, form)
        depthwise = form == ir.DEPTHWISE_CONV2D
        wanted = max(
            variants.grad_input_scratch(g, width, depthwise), variants.grad_weight_scratch(g, width, depthwise)
        )
        filters = {0: int(rng.choice([2, 4]))} if form in FILTERED and rng.random() < FILTERED[form] else {}
        filters = {} if lean else filters
        wanted += bool(filters) * 4 * int(np.prod(g.x))
        scratch = int(rng.choice([wanted, wanted, wanted * rng.uniform(0.2, 1.5)])) // 4 * 4
        mode = 0 if lean else int(rng.choice([0, 0, 0, 1, 2, 3]))
        train = {0: chosen(rng, g, depthwise)}
        options = {"mode": mode, "momentum": 200, "scratch_least": scratch, "filters": filters}
        found.append(back(model, width, train, seed * count + i, **options))
    return found


def changed(seed: int) -> bytes:
    """One operator with other weights than its file's, too large for its variant or not, and the plain kernel's answer.
    The way back does nothing, but says where the scratch is."""
    rng = np.random.default_rng(seed)
    of, _ = graph(rng, seed, FORMS[seed % 4])
    of.tensors[of.ops[0].weights].data //= 4
    fast, plain = (np.frombuffer(tlm.build(of, growth=growth), np.uint8) for growth in (3.0, None))
    model = tlm.read(fast.tobytes())
    op, tensors = model.ops[0], model.tensors
    arena = np.zeros(model.arena, np.int8)
    w = rng.integers(-127, 128, tensors[op.w].bytes) if seed % 3 == 0 else np.full(tensors[op.w].bytes, 127)
    w = w.astype(np.int8)
    arena[tensors[op.x].place :][: tensors[op.x].bytes] = rng.choice([-128, 127])
    at = {}
    parts = {"w": w, "b": model.constant(op.b), "dy": np.zeros(tensors[op.y].bytes, np.int8)}
    for name, part in {**parts, "exponents": np.zeros(len(tensors), np.int32)}.items():
        arena = np.append(arena, np.zeros(-len(arena) % 4, np.int8))
        at[name] = len(arena)
        arena = np.append(arena, np.frombuffer(part.tobytes(), np.int8))
    arena = np.append(arena, np.zeros(-len(arena) % 4, np.int8))
    expected = _answer(plain, arena, at, {"x": tensors[op.x].place, "y": tensors[op.y].place})
    places = np.full(len(tensors), -1, np.int32)
    places[[op.w, op.b]] = at["w"], at["b"]
    scratch = (tensors[op.s].place, tensors[op.s].bytes) if op.s != tlm.NOBODY else (0, 0)
    plan = np.array([0, 0, at["dy"], -1, -1, -1, *scratch, 0, 0, -1, 1, -1, -1, -1, 8], np.int32)
    state = np.array([1, at["exponents"], *[0] * (STATE - 2)], np.int32)
    state_after = state.copy()
    assert tl_grad.backward(fast.copy(), expected, places, plan, state_after) == 0
    masks = np.array([-1], np.int32)
    return record(BACKWARD, fast, arena, places, masks, plan, state, expected, state_after)


def _answer(file: np.ndarray, arena: np.ndarray, at: dict, activations: dict) -> np.ndarray:
    """The arena after the forward of a file without scratch."""
    model, after = tlm.read(file.tobytes()), arena.copy()
    places = np.full(len(model.tensors), -1, np.int32)
    for name, place in {**activations, "w": at["w"], "b": at["b"]}.items():
        places[getattr(model.ops[0], name)] = place
    assert tl_infer.run(file, after, 0, 1, places) == 0
    return after


def file(records: list[bytes]) -> bytes:
    return struct.pack("<4s3I", MAGIC, VERSION, len(records), max(map(len, records)) - 4) + b"".join(records)
