"""How each operator with weights is done on the board: the variants of native_modules/kernels/tl.h, and their scratch.

Every variant gives the same bits. One file serves every processor, in the same scratch (native_modules/kernels/work.h):
the panels of the Cortex-M0+ and of all others are of one size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinylearn_host import ir, planner, quantization

PLAIN, FAST, FAST_SMALL, COUNT = 0, 1, 2, 3

SMALL = 2**20  # sums below it are rescaled by three short multiplications; half of it where that rounds once
GROUPS = 8  # of four inputs, that armv6m takes at once: half of TL_CHUNK
SMALL_SHIFTS = range(-13, 0)
FLOOR = 4096  # bytes of scratch that a small arena may grow by, or of panels that a small file may


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution. Pairs are (height, width)."""

    x: tuple[int, int, int]
    y: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]


def window(graph: ir.Graph, op: ir.Op) -> Window:
    x, y = graph.tensors[op.inputs[0]].hwc, graph.tensors[op.output].hwc
    kernel = tuple(graph.tensors[op.weights].shape[1:3])
    return Window(x, y, kernel, tuple(op.attrs["stride"]), tuple(op.attrs["dilation"]), tuple(op.attrs["padding"][:2]))


# ---- Scratch: work.h ------------------------------------------------------------------------------------------------


def conv2d_scratch(g: Window, quads: int) -> int:
    """Bytes of a panel of so many fours of output channels."""
    groups = -(-g.kernel[0] * g.kernel[1] * g.x[2] // 4)
    return 4 * groups + quads * (32 * groups + 112)


def slides(g: Window) -> bool:
    below = g.y[0] + 2 - g.padding[0] - g.x[0]
    usual = g.kernel == (3, 3) and g.stride == g.dilation == (1, 1) and g.y[1:] == g.x[1:] and g.padding[1] == 1
    return usual and g.x[1] >= 3 and g.padding[0] <= 1 and g.x[0] + g.padding[0] >= 3 and 0 <= below <= 1


def depthwise_scratch(g: Window) -> int:
    height, width = ((k - 1) * d + 1 for k, d in zip(g.kernel, g.dilation, strict=True))
    width += (g.y[1] - 1) * g.stride[1]
    return 4 * (g.kernel[0] * ((g.kernel[1] + 1) // 2) + height * width + g.y[1])


# ---- Scratch of the way back: work.h --------------------------------------------------------------------------------

CHUNK, ROOM = 16, 8704  # TL_GRAD_CHUNK, TL_GRAD_ROOM


def dense_window(inputs: int, outputs: int) -> Window:
    """A dense layer as the convolution of one pixel that the way back takes it for."""
    return Window((1, 1, inputs), (1, 1, outputs), (1, 1), (1, 1), (1, 1), (0, 0))


def _words(n: int, width: int) -> int:
    return -(-n // 2) if width == 8 else n


def _is_dense(g: Window) -> bool:
    return g.x[:2] == g.kernel == (1, 1)


def grad_input_scratch(g: Window, width: int = 8, depthwise: bool = False) -> int:
    """Bytes that grad_input wants; it runs, slower, from 4 * in_w * in_c on. width: of the gradients, 8 or 16."""
    (in_h, in_w, in_c), (_, out_w, out_c), (k_h, k_w) = g.x, g.y, g.kernel
    reach = (out_w - 1) * g.stride[1] + (k_w - 1) * g.dilation[1] + 1
    row = 4 * (max(g.padding[1] + in_w, reach) * in_c + 3)
    if depthwise:
        return row + 24 * in_c
    if _is_dense(g):
        return 4 * (in_c + out_c)
    quads = -(-k_w * in_c // 4) if g.dilation[1] == 1 or k_w == 1 else k_w * -(-in_c // 4)
    panel = 16 * k_h * quads * _words(out_c, width)
    rows = 1 if panel <= ROOM else min(in_h, (31 + in_w) // in_w)
    return rows * row + min(panel, ROOM)


def _taps_bytes(g: Window, rows: int) -> int:
    """Of four channels all taps' sums, and the x that some rows of outputs meet."""
    high, wide = (
        (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip((rows, g.y[1]), g.stride, g.kernel, g.dilation, strict=True)
    )
    return 4 * (4 * (g.kernel[0] * g.kernel[1] + 1) + high * wide)


def grad_weight_scratch(g: Window, width: int = 8, depthwise: bool = False, count: int | None = None) -> int:
    """Bytes that grad_weight wants; it runs, slower, from 4 * taps * count on (depthwise: 4 * taps).

    count: of the input channels that are trained, all of them where None.
    """
    taps, out_c = g.kernel[0] * g.kernel[1], g.y[2]
    count = g.x[2] if count is None else count
    if depthwise:
        return next(n for rows in range(g.y[0], 0, -1) if (n := _taps_bytes(g, rows)) <= ROOM or rows == 1)
    if _is_dense(g):
        return 4 * (count + -(-count // 16))
    quads = -(-taps * count // 4)
    row, panel = 16 * quads + 4, 16 * CHUNK * min(quads, 8)
    return panel + row * min(out_c, max((ROOM - panel) // row, 8))


# ---- What the host can prove ----------------------------------------------------------------------------------------


def rows(graph: ir.Graph, op: ir.Op) -> np.ndarray:
    """The weights as int64 [output channel, product]."""
    w = graph.tensors[op.weights].data
    w = np.moveaxis(w, -1, 0) if op.code == ir.DEPTHWISE_CONV2D else w
    return w.reshape(graph.tensors[op.output].hwc[2], -1).astype(np.int64)


def bias(graph: ir.Graph, op: ir.Op) -> np.ndarray:
    return np.asarray(graph.tensors[op.bias].data if op.bias else 0, np.int64)


def multipliers(graph: ir.Graph, op: ir.Op) -> tuple[np.ndarray, np.ndarray]:
    """The requantisation of a convolution: multipliers int32, shifts int8, one per output channel."""
    x, w, y = (graph.tensors[name] for name in (op.inputs[0], op.weights, op.output))
    scales = np.broadcast_to(np.asarray(w.scale, np.float32), (y.hwc[2],))
    pairs = quantization.convolution_multipliers(x.scale, scales, y.scale)
    if graph.rounds_once:
        pairs = [quantization.rounded_once(*pair) for pair in pairs]
    values, shifts = zip(*pairs, strict=True)
    return np.array(values, np.int32), np.array(shifts, np.int8)


def is_small(w: np.ndarray, b: np.ndarray, x_zero: int, multipliers: np.ndarray, shifts: np.ndarray) -> bool:
    """Whether no input can make a sum that the short multiplications (micro.h) do not hold.

    w int [out, products], b int [out] or 0, multipliers and shifts [out]
    """
    up, down = np.maximum(w, 0).sum(axis=1), np.maximum(-w, 0).sum(axis=1)
    most = b + up * (127 - x_zero) + down * (128 + x_zero)
    least = b - up * (128 + x_zero) - down * (127 - x_zero)
    twice = (shifts >= SMALL_SHIFTS[0]) & (shifts <= SMALL_SHIFTS[-1])
    once = (shifts == 0) & (multipliers % 4 == 0) & (multipliers < 2**30)
    reach = np.where(once, SMALL // 2, SMALL)
    return bool(((most < reach) & (least > -reach) & (twice | once)).all())


def dense_start(graph: ir.Graph, op: ir.Op) -> np.ndarray:
    """int32 [outputs]: bias - zero point of x * sum of the row's weights, which is all but the sum of w * x."""
    start = bias(graph, op) - graph.tensors[op.inputs[0]].zero_point * rows(graph, op).sum(axis=1)
    return start.astype(np.int32)


def dense_panel(w: np.ndarray) -> np.ndarray:
    """uint32: the weights as armv6m's tl_dot4 reads them (kernels/micro.h). w int8 [out, in]; zeros up to multiples
    of 4."""
    w = np.pad(w, [(0, -n % 4) for n in w.shape])
    quads = w.astype(np.int64).reshape(-1, 4, w.shape[1] // 4, 4)  # [quad, row, group, weight]
    words = quads[..., 2:] + (quads[..., :2] << 16)
    words = words.transpose(0, 2, 3, 1)  # [quad, group, word, row]
    chunks = [words[:, at : at + GROUPS] for at in range(0, words.shape[1], GROUPS)]
    return np.concatenate([chunk.reshape(-1) for chunk in chunks]).astype(np.uint32)


def dense_panel_bytes(n_out: int, n_in: int) -> int:
    return 2 * fours(n_out) * fours(n_in)


def fours(n: int) -> int:
    """The next multiple of 4."""
    return -(-n // 4) * 4


# ---- The choice -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """variant of tl.h, bytes of scratch, and whether the file has the panel of a dense layer"""

    variant: int = PLAIN
    scratch: int = 0
    panel: bool = False


def choose(graph: ir.Graph, growth: float | None) -> tuple[dict[int, Choice], planner.Layout]:
    """{operator index: choice} and the arena. It is at most `growth` (0.25: a quarter) larger than without scratch, or
    FLOOR bytes, unless growth is 0. None: plain kernels, no scratch.

    The panels of convolutions are made as large as there is room.
    """
    plain = planner.forward(graph)
    if growth is None:
        return {}, plain
    blocks, limit = planner.activations(graph), plain.bytes + max(int(plain.bytes * growth), FLOOR if growth else 0)
    fast = {i: op for i, op in enumerate(graph.ops) if op.code in ir.WEIGHTED and _fits_a_pair(graph, op)}
    best = {i: FAST_SMALL if _is_small(graph, op) else FAST for i, op in fast.items()}
    for room in np.linspace(limit, 0, 9)[:-1]:
        free = {i: int(room) - planner.live_bytes(blocks, i) for i in fast}
        choices = {i: _choose(graph, op, best[i], free[i]) for i, op in fast.items()}
        layout = planner.forward(graph, {i: c.scratch for i, c in choices.items() if c.scratch})
        if layout.bytes <= limit:
            return _with_panels(graph, choices, growth), layout
    return {}, plain


def _with_panels(graph: ir.Graph, choices: dict[int, Choice], growth: float) -> dict[int, Choice]:
    """Dense layers get panels, which are twice their weights, as long as they fit into `growth` of all weights, or
    FLOOR bytes."""
    weights = sum(graph.tensors[op.weights].bytes for op in graph.ops if op.code in ir.WEIGHTED)
    left = max(int(weights * growth), FLOOR if growth else 0)
    for index, choice in choices.items():
        op = graph.ops[index]
        size = dense_panel_bytes(*graph.tensors[op.weights].shape[:2])
        if choice.variant != PLAIN and _pays(op, graph) and size <= left:
            choices[index] = replace(choice, panel=True)
            left -= size
    return choices


def _pays(op: ir.Op, graph: ir.Graph) -> bool:
    """Whether a panel is faster: not for one or two rows, which meet it four at a time."""
    return op.code == ir.FULLY_CONNECTED and graph.tensors[op.weights].shape[0] > 2


def _fits_a_pair(graph: ir.Graph, op: ir.Op) -> bool:
    """Two products in one word: exact while no weight is -128."""
    return bool(graph.tensors[op.weights].data.min() > -128)


def _is_small(graph: ir.Graph, op: ir.Op) -> bool:
    """Of a convolution; dense layers are rescaled in another way."""
    if op.code == ir.FULLY_CONNECTED:
        return False
    zero = graph.tensors[op.inputs[0]].zero_point
    return is_small(rows(graph, op), bias(graph, op), zero, *multipliers(graph, op))


def _choose(graph: ir.Graph, op: ir.Op, variant: int, free: int) -> Choice:
    if op.code == ir.FULLY_CONNECTED:
        scratch = 4 * fours(graph.tensors[op.output].hwc[2])
        return Choice(variant, scratch) if scratch <= free else Choice()
    g = window(graph, op)
    if op.code == ir.DEPTHWISE_CONV2D:
        if variant == FAST_SMALL and slides(g):
            return Choice(variant)
        return Choice(variant, depthwise_scratch(g)) if depthwise_scratch(g) <= free else Choice()
    per_quad = conv2d_scratch(g, 1) - conv2d_scratch(g, 0)
    quads = min((free - conv2d_scratch(g, 0)) // per_quad, -(-g.y[2] // 4))
    return Choice(variant, conv2d_scratch(g, quads)) if quads > 0 else Choice()
