"""Differentiates a model's program once, on the host: which operators a gradient goes through on its way back from the
features, what each may train, and what each costs. The sections BWD and COST of docs/SPEC.md.

The board chooses among these at run time (firmware/tinylearn/tail.py); what is not in here can never be trained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tinylearn_host import ir, tlm, variants
from tinylearn_host.training_sections import ADD_INPUT, BIAS, INPUT, MASK, WEIGHTS, Backward, Cost

WIDEST = 16  # bits of a gradient: what has room for these has room for 8


def differentiate(model: tlm.Model) -> list[Backward]:
    """The backward program of the deepest tail that can be trained, last operator first; empty where there is none.

    Pruned: an operator is in it if something trainable lies at it or before it, and if it leads to the features.
    """
    ops = model.ops[: model.head]
    leading = _leading(ops, model.features)
    cut = max((i + 1 for i in leading if not differentiable(model, ops[i])), default=0)
    trains = {i: _trainable(model, ops[i]) for i in leading if i >= cut}
    depends: set[int] = set()  # tensors that change when something is trained
    for i in sorted(trains):
        if trains[i] or depends & {ops[i].x, ops[i].x2}:
            depends.add(ops[i].y)
    return [
        Backward(i, trains[i] | _wants(ops[i], depends) | (MASK if clips(model, ops[i]) else 0))
        for i in sorted(trains, reverse=True)
        if ops[i].y in depends
    ]


def _leading(ops: list[tlm.OperatorRecord], features: int) -> list[int]:
    """Operators that the features depend on. None where a tensor is written twice, which no converter does."""
    if max(Counter(op.y for op in ops).values(), default=0) > 1:
        return []
    tensors, found = {features}, []
    for i in range(len(ops) - 1, -1, -1):
        if ops[i].y in tensors:
            found.append(i)
            tensors |= {ops[i].x, ops[i].x2}
    return found


def _wants(op: tlm.OperatorRecord, depends: set[int]) -> int:
    return (INPUT if op.x in depends else 0) | (ADD_INPUT if op.x2 in depends else 0)


def _trainable(model: tlm.Model, op: tlm.OperatorRecord) -> int:
    """WEIGHTS and BIAS, less what another operator uses, too: its gradient would have two sources."""
    users = Counter(t for other in model.ops for t in (other.w, other.b))
    flags = WEIGHTS if op.w != tlm.NOBODY and users[op.w] == 1 else 0
    return flags | (BIAS if op.b != tlm.NOBODY and users[op.b] == 1 else 0)


def differentiable(model: tlm.Model, op: tlm.OperatorRecord) -> bool:
    """Whether tl_grad.backward takes this operator: it has a gradient, whose sums fit an int32."""
    if op.name in ir.WEIGHTED:
        return _gradient_bits(model, op) >= 2
    if op.name == ir.AVG_POOL:
        windows = 1
        for size, stride in zip(op.kernel, op.stride, strict=True):
            windows *= -(-size // stride)
        return 31 - WIDEST - windows.bit_length() >= 4
    return op.name != ir.SOFTMAX


def _gradient_bits(model: tlm.Model, op: tlm.OperatorRecord) -> int:
    """Bits that gradients of the sums may have (native_modules/kernels/backward.c: gradient_bits)."""
    taps, _, outputs = weight_shape(model, op)
    _, h, w, _ = model.tensors[op.y].shape
    most = max(128 * taps * outputs, 255 * (h * w if op.name != ir.FULLY_CONNECTED else 1))
    return 31 - most.bit_length()


def weight_shape(model: tlm.Model, op: tlm.OperatorRecord) -> tuple[int, int, int]:
    """(taps, input channels of one output channel, output channels)"""
    o, h, w, i = model.tensors[op.w].shape
    return (h * w, 1, i) if op.name == ir.DEPTHWISE_CONV2D else (h * w, i, o)


# ---- Where the clamp can stop a gradient -----------------------------------------------------------------------------


def clips(model: tlm.Model, op: tlm.OperatorRecord) -> bool:
    """Whether some input can take the output to the clamp's ends and beyond, so that the forward has to leave a mask.

    Sums of weights can always, as these change. The others are weighed by their scales.
    """
    if op.name in (ir.PAD, ir.RESHAPE):
        return False
    if op.name in ir.WEIGHTED:
        return True
    low, high = op.clamp if op.name != ir.MEAN else (-128, 127)
    least, most = _reach(model, op)
    return least < low or most > high


def _reach(model: tlm.Model, op: tlm.OperatorRecord) -> tuple[float, float]:
    """The least and the greatest value before clamping, in steps of y, of any inputs."""
    y = model.tensors[op.y]
    if op.name in (ir.AVG_POOL, ir.MAX_POOL):
        return -128, 127
    inputs = [model.tensors[t] for t in (op.x, op.x2) if t != tlm.NOBODY]
    ends = [[(v - t.zero_point) * t.scale / y.scale for v in (-128, 127)] for t in inputs]
    return y.zero_point + sum(e[0] for e in ends), y.zero_point + sum(e[1] for e in ends)


# ---- Costs -----------------------------------------------------------------------------------------------------------


def cost(model: tlm.Model, record: Backward) -> Cost:
    """What an operator of the backward takes, all trained that can be, with the scratch that is fast for int8."""
    op = model.ops[record.op]
    x, y = model.tensors[op.x], model.tensors[op.y]
    wanted, weights = record.flags & INPUT, record.flags & WEIGHTS
    pool = x.bytes + y.bytes if op.name == ir.MAX_POOL else 0
    return Cost(
        op=record.op,
        weights=model.tensors[op.w].bytes if weights else 0,
        biases=model.tensors[op.b].bytes // 4 if record.flags & BIAS else 0,
        macs_forward=op.macs,
        macs_grad_input=op.macs if wanted else 0,
        macs_grad_weight=op.macs if weights else 0,
        saved_bytes=x.bytes if weights else pool,
        mask_bits=y.bytes if record.flags & MASK else 0,
        scratch_input=max(_scratch(model, op, variants.grad_input_scratch), least_row(model, op)) if wanted else 0,
        scratch_weight=max(_scratch(model, op, variants.grad_weight_scratch), least_sums(model, op)) if weights else 0,
    )


def _scratch(model: tlm.Model, op: tlm.OperatorRecord, wanted: Callable) -> int:
    if op.name not in ir.WEIGHTED:
        return 0
    x, y = (model.tensors[t].shape[1:] for t in (op.x, op.y))
    if op.name == ir.FULLY_CONNECTED:
        return wanted(variants.dense_window(model.tensors[op.x].bytes, model.tensors[op.y].bytes))
    window = variants.Window(x, y, op.kernel, op.stride, op.dilation, op.padding)
    return wanted(window, depthwise=op.name == ir.DEPTHWISE_CONV2D)


def least_row(model: tlm.Model, op: tlm.OperatorRecord) -> int:
    """Bytes of one row of dx in int32, for operators that sum rows (backward.c: uses_row)."""
    x = model.tensors[op.x]
    if op.name == ir.FULLY_CONNECTED:
        return 4 * x.bytes
    return 4 * x.shape[2] * x.shape[3] if op.name in ir.WINDOWED else 0


def least_sums(model: tlm.Model, op: tlm.OperatorRecord) -> int:
    """Bytes of the gradient of one output channel's weights in int32."""
    taps, inputs, _ = weight_shape(model, op)
    return 4 * taps * inputs
