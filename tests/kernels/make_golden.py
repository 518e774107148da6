"""Write tests/golden/forward.bin: the operators' edges and some of their middles, answered by LiteRT's reference."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2] / "host")]

import cases
import golden

LIMIT = 100_000  # bytes of the file


def convolutions() -> list[cases.Case]:
    some = [
        {},
        {"kernel": (1, 1), "shape": (4, 4, 8), "channels": 12},
        {"kernel": (1, 1), "shape": (1, 1, 33), "channels": 5},
        {"kernel": (1, 1), "stride": (2, 2), "padding": "VALID"},
        {"kernel": (5, 2), "stride": (2, 1)},
        {"kernel": (10, 4), "shape": (12, 10, 1), "stride": (2, 2), "channels": 4},
        {"dilation": (2, 3), "shape": (8, 9, 2)},
        {"dilation": (2, 2), "shape": (8, 9, 3), "padding": "VALID", "stride": (1, 2)},
        {"shape": (2, 2, 3), "kernel": (5, 5)},
        {"shape": (1, 1, 1), "kernel": (3, 3), "channels": 1},
        {"padding": (2, 0, 1, 2)},
        {"padding": (0, 2, 2, 0), "stride": (3, 2)},
        {"kind": "least", "x_zero": 127},
        {"kind": "most", "x_zero": -128},
        {"kind": "least", "x_zero": -128, "y_zero": 127},
        {"activation": "RELU", "y_zero": -128},
        {"activation": "RELU6", "y_zero": -128},
        {"activation": "RELU_N1_TO_1"},
        {"factor": 0.02},
        {"factor": 50.0},
        {"bias": False},
        {"per_channel": False},
        {"shape": (3, 3, 17), "channels": 3},
        {"shape": (4, 3, 16), "channels": 4, "kernel": (3, 1)},
    ]
    full = [cases.convolution(100 + i, **options) for i, options in enumerate(some)]
    depth = [cases.convolution(200 + i, True, **{**options, "channels": 1 + i % 2}) for i, options in enumerate(some)]
    return full + depth


def denses() -> list[cases.Case]:
    some = [
        {},
        {"n_in": 1, "n_out": 1},
        {"n_in": 64, "n_out": 10, "y_zero": -128},
        {"n_in": 67, "n_out": 12, "per_channel": True},
        {"kind": "least", "x_zero": 127},
        {"kind": "most", "x_zero": -128},
        {"activation": "RELU6", "y_zero": -128},
        {"factor": 0.02},
        {"factor": 50.0, "bias": False},
    ]
    found = [cases.fully_connected(300 + i, **options) for i, options in enumerate(some)]
    # Sums on both sides of every eighth half of an output step, and on it: scales that make ties, scales just beside.
    for x_scale, w_scale, y_scale in ((1.0, 1.0, 6.0), (0.1, 0.3, 0.7), (0.05, 1 / 3, 11.0), (0.0235, 0.0039, 0.16)):
        x_scale, w_scale, y_scale = (float(np.float32(s)) for s in (x_scale, w_scale, y_scale))
        halves = (np.arange(-128, 129, 8) + 0.5) * (y_scale / (x_scale * w_scale))
        sums = (np.round(halves)[:, None] + np.arange(-1, 2)).reshape(-1).astype(np.int32)
        x, w = np.zeros((1, 1), np.int8), np.zeros((len(sums), 1), np.int8)
        found.append(cases.dense(x, w, sums, x_scale, np.array([w_scale], np.float32), y_scale))
    return found


def pools() -> list[cases.Case]:
    some = [
        {},
        {"kernel": (3, 3), "stride": (1, 1), "padding": "SAME"},
        {"kernel": (3, 2), "stride": (2, 3), "padding": "SAME", "kind": "least"},
        {"kernel": (5, 6), "stride": (1, 1)},
        {"kernel": (4, 4), "stride": (1, 2), "padding": "SAME", "activation": "RELU6", "zero": -128},
        {"shape": (25, 5, 3), "kernel": (25, 5), "stride": (25, 5)},
        {"kernel": (1, 1), "stride": (2, 2), "kind": "most"},
    ]
    codes = (cases.AVG_POOL, cases.MAX_POOL)
    return [cases.pool(400 + i, code, **options) for code in codes for i, options in enumerate(some)]


def others() -> list[cases.Case]:
    return [
        cases.mean(500),
        cases.mean(501, (1, 1, 5)),
        cases.mean(502, (7, 9, 3), y_scale=0.02, keep=True),
        cases.mean(503, (3, 3, 2), kind="least", x_zero=127),
        cases.mean(504, (8, 8, 16), kind="most", x_zero=-128, y_zero=-128, y_scale=0.3),
        cases.add(510, 257),
        cases.add(511, 31, 0.05, 0.05, 0.05, (0, 0, 0)),
        cases.add(512, 64, 0.4, 0.003, 0.2, (-128, 127, -128), "RELU"),
        cases.add(513, 8, kind="least", zeros=(127, 127, 127), y_scale=0.01),
        cases.pad(520),
        cases.pad(521, (3, 2, 2), (0, 0, 1), (0, 0, 2), value=77),
        cases.pad(522, (1, 1, 1), (0, 0, 0), (1, 1, 1), zero=127),
        *(cases.clamp(530, name, 256, 0.05, 0.03, -5, 3) for name in ("RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE")),
        cases.clamp(531, "QUANTIZE", 256, 0.1, 0.003, 127, -128),
        cases.clamp(532, "QUANTIZE", 256, 0.02, 0.5, -128, 127),
        *(cases.softmax(540 + i, 8, 10, scale, beta) for i, (scale, beta) in enumerate(SOFTMAXES)),
        cases.softmax(550, 1, 1),
        cases.softmax(551, 1, 500, spread=1),
        cases.softmax(552, 2, 100, 0.05, spread=20),
        cases.reshape(560),
    ]


SOFTMAXES = ((0.001, 1.0), (0.01, 1.0), (0.05, 1.0), (0.1, 0.5), (0.25, 2.0), (3.0, 1.0), (20.0, 1.0), (40.0, 2.0))


def everything() -> bytes:
    found = [*convolutions(), *denses(), *pools(), *others()]
    return golden.pack(found)


if __name__ == "__main__":
    raw = everything()
    if len(raw) > LIMIT:
        sys.exit(f"{len(raw)} bytes of golden vectors are more than {LIMIT}: use smaller shapes")
    golden.FILE.write_bytes(raw)
    print(f"{golden.FILE}: {len(golden.unpack(raw))} vectors, {len(raw)} bytes")
