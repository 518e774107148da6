"""The layers of kernels.py on the way back: plans of one record, over an arena that lies ready in a file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tinylearn_host import ir, tlm, variants
from tinylearn_host.bench import kernels

WEIGHTS, BIAS, INPUT = 1, 2, 4  # of a record: native_modules/kernels/backward.h
MANTISSA = 20000  # of rates; their exponents make steps of 0.002 on the average, as the network's training has them
EXPONENTS = {("L3", 8): -28, ("L3", 16): -36, ("L4", 8): -30, ("L4", 16): -38, ("L6", 8): -24, ("L6", 16): -32}
STATE, TENSORS = 8, 4  # words of tl_state_t; x, w, b, y in the order of kernels.graph


@dataclass(frozen=True)
class Gradient:
    """what: "grad_input", or "grad_weight" with the biases and the update; width: of the gradients, 8 or 16"""

    layer: kernels.Layer
    what: str
    width: int

    @property
    def name(self) -> str:
        return f"{self.layer.name.split()[0]} {self.what}" + (" int16" if self.width == 16 else "")

    @property
    def exponent(self) -> int:
        """Of rates; of other layers, as their kind's."""
        like = {ir.DEPTHWISE_CONV2D: "L3", ir.CONV2D: "L4", ir.FULLY_CONNECTED: "L6"}[self.layer.code]
        return EXPONENTS[like, self.width]


CHOSEN = [layer for layer in kernels.LAYERS if layer.name.split()[0] in ("L3", "L4", "L6")]
GRADIENTS = [Gradient(k, what, width) for k in CHOSEN for width in (8, 16) for what in ("grad_input", "grad_weight")]


def window(layer: kernels.Layer) -> variants.Window:
    graph = kernels.graph(layer)
    if layer.code == ir.FULLY_CONNECTED:
        return variants.dense_window(layer.x[2], layer.channels)
    return variants.window(graph, graph.ops[0])


def job(gradient: Gradient) -> tuple[bytes, bytes, tuple]:
    """(the model, its arena, the arguments of on_board/bench.backward after them)."""
    layer, width = gradient.layer, gradient.width
    raw = tlm.build(kernels.graph(layer), growth=None)
    model, random = tlm.read(raw), np.random.default_rng(zlib.crc32(gradient.name.encode()))
    op = model.ops[0]
    g, depthwise, y = window(layer), layer.code == ir.DEPTHWISE_CONV2D, model.tensors[op.y].bytes
    of_input = gradient.what == "grad_input"
    most = 127 if width == 8 else 32767
    dy = random.integers(-most, most + 1, y).astype(np.int8 if width == 8 else np.int16)
    parts = {
        "x": kernels.sample(layer).tobytes(),
        "w": model.constant(op.w).tobytes(),
        "b": model.constant(op.b).tobytes(),
        "dy": dy.tobytes(),
        "dx": bytes(model.tensors[op.x].bytes * width // 8),
        "rates": np.tile(np.array([MANTISSA, gradient.exponent], np.int16), layer.channels).tobytes(),
        "exponents": bytes(4 * len(model.tensors)),
    }
    at, arena = {}, b""
    for name, part in parts.items():
        at[name] = len(arena)
        arena += part + bytes(-len(part) % 4)
    want = variants.grad_input_scratch if of_input else variants.grad_weight_scratch
    scratch = want(g, width, depthwise)
    places = [-1] * len(model.tensors)
    for tensor, name in ((op.x, "x"), (op.w, "w"), (op.b, "b"), (op.y, "dy")):  # y is not read
        places[tensor] = at[name]
    flags = INPUT if of_input else WEIGHTS | BIAS
    record = [
        0,
        flags,
        at["dy"],
        at["dx"],
        -1,
        -1,
        len(arena),
        scratch,
        0,
        0,
        -1,
        1,
        at["rates"],
        at["rates"],
        -1,
        width,
    ]
    return raw, arena, (scratch, places, record, [2654435761 % 2**31, at["exponents"], *[0] * 6])
