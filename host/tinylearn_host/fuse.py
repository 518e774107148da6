"""Rewrites of a graph that save time and memory and change no bit of its answer."""

from __future__ import annotations

from dataclasses import replace

from tinylearn_host import ir


def pads_into_convolutions(graph: ir.Graph) -> ir.Graph:
    """`graph` without those pads that its convolutions can do themselves.

    A convolution takes what lies outside the image for the zero point. So a pad that only a convolution reads, with
    the zero point as its value, around height and width, is more padding of that convolution.
    """
    readers: dict[str, list[ir.Op]] = {}
    for op in graph.ops:
        for name in op.inputs:
            readers.setdefault(name, []).append(op)
    fused: dict[str, ir.Op] = {}  # output of a pad -> the pad
    ops = []
    for op in graph.ops:
        reader = readers.get(op.output, [])
        if op.code == ir.PAD and op.output != graph.output and len(reader) == 1 and _suits(graph, op, reader[0]):
            fused[op.output] = op
        elif op.inputs[0] in fused:
            pad = fused[op.inputs[0]]
            ops.append(replace(op, inputs=list(pad.inputs), attrs={**op.attrs, "padding": _padding(pad, op)}))
        else:
            ops.append(op)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in fused}
    return replace(graph, ops=ops, tensors=tensors)


def _padding(pad: ir.Op, convolution: ir.Op) -> tuple[int, ...]:
    """top, left, bottom, right of both together"""
    amounts = (*pad.attrs["before"][:2], *pad.attrs["after"][:2])
    return tuple(a + b for a, b in zip(amounts, convolution.attrs["padding"], strict=True))


def _suits(graph: ir.Graph, pad: ir.Op, reader: ir.Op) -> bool:
    if reader.code not in (ir.CONV2D, ir.DEPTHWISE_CONV2D):
        return False
    plain = pad.attrs["before"][2] == pad.attrs["after"][2] == 0
    value_is_zero = pad.attrs["value"] == graph.tensors[pad.inputs[0]].zero_point
    kernel, dilation = graph.tensors[reader.weights].shape[1:3], reader.attrs["dilation"]
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    fits = all(amount <= limit for amount, limit in zip(_padding(pad, reader), reach * 2, strict=True))
    return plain and value_is_zero and fits


ROW = "/row"  # after the name of a column that lies as a row, and of weights whose windows go along it
_SHAPED = ir.WINDOWED | {ir.ADD, ir.PAD, ir.CLAMP, ir.SOFTMAX}  # whose output's sides follow from their input's


def columns_into_rows(graph: ir.Graph) -> ir.Graph:
    """`graph` with maps one pixel wide, as of signals over time, turned to be one pixel high: the same bytes.

    Kernels go along rows: on the Cortex-M0+ windows of k x 1 cost up to four times what those of 1 x k do. The input
    keeps its shape: what reads it reads a reshape, which copies nothing. A graph in which some window is wider than
    such a map stays as it is.
    """
    columns = {name for name, t in graph.tensors.items() if t.data is None and t.hwc[0] > 1 and t.hwc[1] == 1}
    turned = [op for op in graph.ops if op.inputs[0] in columns and op.code in _SHAPED]
    along = [_window(graph, op) for op in turned]
    if graph.output in columns or any(wide for _, wide in along) or not any(high > 1 for high, _ in along):
        return graph
    tensors, ops, rows = dict(graph.tensors), [], {}
    for op in graph.ops:
        if op not in turned:
            ops.append(replace(op, inputs=[rows.get(name, name) for name in op.inputs]))
            continue
        for name in op.inputs:
            if name not in rows:
                rows[name] = name + ROW
                tensors[name + ROW] = _turned(tensors[name], name + ROW)
                ops.append(ir.Op(ir.RESHAPE, name + ROW, [name], name + ROW))
        ops.append(_along_the_row(op, [rows[name] for name in op.inputs], tensors))
        if op.output in columns:
            rows[op.output] = op.output
            tensors[op.output] = _turned(tensors[op.output], op.output)
    used = {name for op in ops for name in (*op.inputs, op.output, op.weights, op.bias)}
    return replace(graph, ops=ops, tensors={name: t for name, t in tensors.items() if name in used})


def _window(graph: ir.Graph, op: ir.Op) -> tuple[int, bool]:
    """(height of its window, whether it sees more than a column of its input)"""
    before, after = op.attrs.get("before", (0, 0, 0)), op.attrs.get("after", (0, 0, 0))
    _, left, _, right = op.attrs.get("padding", (0, before[1], 0, after[1]))
    high, wide = graph.tensors[op.weights].shape[1:3] if op.weights else op.attrs.get("kernel", (1, 1))
    return high, wide > 1 or left > 0 or right > 0


def _along_the_row(op: ir.Op, inputs: list[str], tensors: dict[str, ir.Tensor]) -> ir.Op:
    """`op` with height and width changed over; its weights are added to `tensors`."""
    attrs = dict(op.attrs)
    for name in ("kernel", "stride", "dilation", "padding", "before", "after"):
        if name in attrs:
            attrs[name] = _changed_over(attrs[name])
    if op.weights is None:
        return replace(op, inputs=inputs, attrs=attrs)
    tensors[op.weights + ROW] = _turned(tensors[op.weights], op.weights + ROW, first=1)
    return replace(op, inputs=inputs, attrs=attrs, weights=op.weights + ROW)


def _turned(tensor: ir.Tensor, name: str, first: int = 0) -> ir.Tensor:
    """The same bytes under another name, with sides `first` and `first` + 1 changed over, of which the second is 1."""
    shape = list(tensor.shape)
    shape[first : first + 2] = shape[first + 1], shape[first]
    return replace(
        tensor, name=name, shape=tuple(shape), data=None if tensor.data is None else tensor.data.reshape(shape)
    )


def _changed_over(sides: tuple[int, ...]) -> tuple[int, ...]:
    """(h, w) as (w, h), (h, w, c) as (w, h, c), (top, left, bottom, right) as (left, top, right, bottom)"""
    return tuple(side for i in range(0, len(sides), 2) for side in reversed(sides[i : i + 2]))
