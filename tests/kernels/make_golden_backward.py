"""Write tests/golden/backward.bin: small tails run forward, back and updated by the simulator, losses, views, maps.

What is right about these answers is held by test_gradients.py against PyTorch and by test_augment.py against float64;
this file holds every build to the bits.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2] / "host")]

from graphs_backward import Maker, network
from tail import ACCUMULATE, APPLY, BIAS, MOMENTUM, SGD, STATE, WEIGHTS, Pull, Tail, Train
from tinylearn_host import ir

FILE = Path(__file__).parent.parent / "golden" / "backward.bin"
MAGIC, VERSION = b"TLGB", 1
BACKWARD, HEAD_LOSS, SOFTMAX_LOSS, AUGMENT, ACTIVITY, CHANNEL_MAPS, FILTERED = range(7)
LIMIT = 160_000  # bytes of the file
RATE = {"weight_rate": (20000, -22), "bias_rate": (20000, -12)}


def record(kind: int, *arrays) -> bytes:
    raw = [b"" if a is None else a.tobytes() for a in arrays]
    body = struct.pack("<9I", kind, *map(len, raw)) + b"".join(a + bytes(-len(a) % 4) for a in raw)
    return struct.pack("<I", len(body)) + body


def back(graph: ir.Graph, width: int, train: dict[int, Train], seed: int, **options) -> bytes:
    tail = Tail(graph, width, train, seed=seed * 2654435761 % 2**31, **options)
    rng = np.random.default_rng(seed)
    tail.view(tail.model.input)[:] = rng.integers(-128, 128, tail.view(tail.model.input).size)
    last = tail.model.ops[-1].y
    tail.gradient(last)[:] = rng.integers(-127, 128, tail.gradient(last).size)
    tail.state[2] = int(rng.integers(-12, 3))
    before, state = tail.arena.copy(), tail.state.copy()
    tail.forward(tail.view(tail.model.input).copy())
    tail.backward(tail.gradient(last).copy(), int(state[2]))
    kind = FILTERED if tail.filters else BACKWARD
    return record(kind, tail.file, before, tail.places, tail.masks, tail.plan(), state, tail.arena, tail.state)


WINDOWS = [
    {"kernel": (1, 1)},
    {"kernel": (3, 3), "padding": (1, 1, 1, 1)},
    {"kernel": (3, 2), "stride": (2, 1), "padding": (0, 1, 1, 0)},
    {"kernel": (2, 2), "dilation": (2, 1), "stride": (1, 2)},
]


def single(seed: int, code: str, **attrs) -> ir.Graph:
    maker = Maker(seed)
    x = maker.activation((5, 4, 3))
    maker.window(code, x, {ir.CONV2D: 4, ir.DEPTHWISE_CONV2D: 6}.get(code, 3), **attrs)
    return maker.graph(x)


def dense(seed: int) -> ir.Graph:
    maker = Maker(seed)
    x = maker.activation((17,))
    maker.dense(x, 5)
    return maker.graph(x)


def passes() -> list[bytes]:
    everything = Train(WEIGHTS | BIAS, **RATE)
    found = []
    for width in (8, 16):
        for i, attrs in enumerate(WINDOWS):
            for j, code in enumerate((ir.CONV2D, ir.DEPTHWISE_CONV2D)):
                mode = (SGD, MOMENTUM, ACCUMULATE, APPLY)[(i + j) % 4]
                seed = 100 + 10 * i + j
                found.append(back(single(seed, code, **attrs), width, {0: everything}, seed, mode=mode, momentum=200))
        for i, code in enumerate((ir.AVG_POOL, ir.MAX_POOL)):
            found.append(back(single(200 + i, code, kernel=(3, 2), stride=(1, 2)), width, {}, 200 + i))
        found.append(back(dense(210), width, {0: everything}, 210))
        for i, channels in enumerate(([2, 0], None)):
            for axis in (0, 1):
                part = Train(WEIGHTS | BIAS, first=0 if channels else 1, count=2, channels=channels, axis=axis, **RATE)
                graph = single(220 + i, ir.CONV2D, kernel=(2, 2))
                found.append(back(graph, width, {0: part}, 220 + i))
        graph = network(3)
        train = {i: everything for i, op in enumerate(graph.ops) if op.code in ir.WEIGHTED}
        found.append(back(graph, width, train, 300))
        maker = Maker(310)
        x = maker.activation((3, 3, 4))
        maker.add(maker.add(x, x), x)
        found.append(back(maker.graph(x), width, {}, 310))
        for axis in (0, 1):
            found.append(back(single(230, ir.CONV2D, kernel=(2, 2)), width, {}, 230, fisher={0: axis}))
        for chosen in (None, [3, 1]):
            reference = np.random.default_rng(240).integers(-128, 128, (12, 2 if chosen else 4)).astype(np.int8)
            graph = single(240, ir.CONV2D, kernel=(2, 2))
            found.append(back(graph, width, {}, 240, pulls={0: Pull(reference, (17000, -18), chosen)}))
    return found


def filtered() -> list[bytes]:
    """Patches of x, then a pass through them: everything of the window is trained."""
    found = []
    for width in (8, 16):
        for i, attrs in enumerate(WINDOWS):
            for j, code in enumerate((ir.CONV2D, ir.DEPTHWISE_CONV2D)):
                seed, side = 700 + 10 * i + j, (2, 4)[(i + j) % 2]
                train = {0: Train(WEIGHTS | BIAS, **RATE)}
                found.append(back(single(seed, code, **attrs), width, train, seed, filters={0: side}))
    return found


def losses() -> list[bytes]:
    found = []
    for i, (n, k, mult, shift) in enumerate(((7, 3, 0, 0), (40, 10, 0, 0), (33, 5, 40000, 18), (1, 2, 65535, 16))):
        for kind in (np.int8, np.int16):
            rng = np.random.default_rng(400 + i)
            params = np.array([n, k, -128 + i, mult, shift, i % k], np.int32)
            x = rng.integers(-128, 128, n).astype(np.int8)
            w, b = rng.integers(-3000, 3000, (k, n)).astype(np.int16), rng.integers(-(2**17), 2**17, k).astype(np.int32)
            found.append(loss(HEAD_LOSS, params, x, w, b, 4 * (n + 2 * k), kind))
            params = np.array([3, 17000 + i, 18 - i, i % n], np.int32)
            found.append(loss(SOFTMAX_LOSS, params, x, None, None, 8 * n, kind))
    return found


def loss(which: int, params, x, w, b, scratch: int, kind) -> bytes:
    import tl_channels

    before, dx, state = np.zeros(STATE, np.int32), np.zeros(x.size, kind), np.zeros(STATE, np.int32)
    if which == HEAD_LOSS:
        status = tl_channels.head_loss(params, x, w, b, dx, state, bytearray(scratch))
    else:
        status = tl_channels.softmax_loss(params, x, dx, state, bytearray(scratch))
    assert status == 0
    return record(which, params, x, w, b, np.array([scratch], np.uint32), before, dx, state)


def views() -> list[bytes]:
    """The second of two views, with everything on; all borders, all domains."""
    import tl_train
    from tinylearn import augment

    found = []
    amounts = {"shift": 2, "flip": 0.5, "rotate": 20, "zoom": 0.2, "shear": 0.2, "gain": 0.3, "channel_gain": 0.2,
               "offset": 9, "channel_offset": 5, "noise": 3.5, "mask": 2}  # fmt: skip
    cases = [((9, 8, 3), {**amounts, "border": border}) for border in ("zero", "edge", "wrap")]
    cases += [((12, 10, 1), augment.defaults("image", 12, 10)), ((20, 8, 1), augment.defaults("spectrogram", 20, 8))]
    cases += [((1, 50, 3), augment.defaults("signal", 1, 50)), ((7, 5, 2), {}), ((11, 10, 1), {"shift": (3, 4)})]
    for i, (shape, amounts) in enumerate(cases):
        x = np.random.default_rng(500 + i).integers(-128, 128, shape).astype(np.int8)
        params = np.array(augment.pack(amounts, *shape, 5 * i - 20), np.int32)
        state, out = np.array([(i + 1) * 2654435761 % 2**32], np.uint32), np.zeros_like(x)
        assert tl_train.augment(params, x, out, state) == 0
        before = state.copy()
        assert tl_train.augment(params, x, out, state) == 0
        found.append(record(AUGMENT, params, x, None, None, None, before, out, state))
    return found


def maps() -> list[bytes]:
    """Of a feature map [6, 5]: how active its channels are, and three of them."""
    import tl_channels

    y = np.random.default_rng(600).integers(-128, 128, (6, 5)).astype(np.int8)
    params, sums = np.array([5, -9], np.int32), np.zeros(5, np.int32)
    on, reference = np.array([4, 0, 3], np.int16), np.zeros((6, 3), np.int8)
    assert tl_channels.activity(params, y, sums) == 0 and tl_channels.channel_maps(params[:1], y, on, reference) == 0
    return [
        record(ACTIVITY, params, y, None, None, None, None, sums, None),
        record(CHANNEL_MAPS, params[:1], y, on, None, None, None, reference, None),
    ]


def everything() -> bytes:
    records = [*passes(), *filtered(), *losses(), *maps(), *views()]
    return struct.pack("<4s3I", MAGIC, VERSION, len(records), max(map(len, records)) - 4) + b"".join(records)


if __name__ == "__main__":
    raw = everything()
    if len(raw) > LIMIT:
        sys.exit(f"{len(raw)} bytes of golden vectors are more than {LIMIT}: use smaller shapes")
    FILE.write_bytes(raw)
    print(f"{FILE}: {len(raw)} bytes")
