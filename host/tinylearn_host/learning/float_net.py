"""A `.tlm`'s network in real numbers: PyTorch, float32, for many episodes at once, each with weights of its own.

Weights, biases and scales are those of the file; a clamp stays, at the same bounds; nothing is rounded. What the board
learns in integers is measured against this. Activations are [n, E, C, H, W]: n samples of each of E episodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tinylearn_host import ir, tlm
from tinylearn_host.errors import UNSUPPORTED_OPERATOR, TinylearnError


@dataclass
class Weights:
    """Of one operator: w [E or 1, O, I, kh, kw] (depthwise: I = 1), b [E or 1, O], in real units."""

    w: Tensor
    b: Tensor


def fastest() -> str:
    """A graphics card where there is one. It computes in float32, not in the TF32 that convolutions default to."""
    if not torch.cuda.is_available():
        return "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return "cuda"


class FloatNet:
    """Operators of a model, up to its own classifier."""

    def __init__(self, model: tlm.Model, device: str = "cpu"):
        self.model, self.device = model, torch.device(device)
        self.last = model.head
        self.frozen = {i: _weights(model, i, self.device) for i, op in enumerate(model.ops) if op.name in ir.WEIGHTED}

    def input(self, x: np.ndarray) -> Tensor:
        """int8 samples [n, E, inputs] as real numbers [n, E, C, H, W]."""
        record = self.model.tensors[self.model.input]
        h, w, c = self.model.input_shape()
        real = (torch.from_numpy(x).to(self.device, torch.float32) - record.zero_point) * record.scale
        return real.view(*x.shape[:2], h, w, c).permute(0, 1, 4, 2, 3).contiguous()

    def boundary(self, cut: int) -> list[int]:
        """Tensors that exist before operator `cut` and are read at or after it."""
        written = {self.model.input} | {op.y for op in self.model.ops[:cut]}
        read = {i for op in self.model.ops[cut : self.last] for i in (op.x, op.x2)}
        return sorted(written & (read | ({self.model.features} if cut >= self.last else set())))

    def prefix(self, x: Tensor, cut: int) -> dict[int, Tensor]:
        """The boundary of samples [n, E, ...], by frozen weights."""
        with torch.no_grad():
            values = self._run({self.model.input: x}, 0, cut, {})
        return {i: values[i] for i in self.boundary(cut)}

    def features(self, values: dict[int, Tensor], cut: int, trained: dict[int, Weights]) -> Tensor:
        """[n, E, features] of a boundary; `trained` takes the place of weights of the file."""
        return self.features_of(self.forward(values, cut, trained))

    def forward(self, values: dict[int, Tensor], cut: int, trained: dict[int, Weights]) -> dict[int, Tensor]:
        """A boundary, and all that comes of it, up to the features."""
        return self._run(dict(values), cut, self.last, trained)

    def features_of(self, values: dict[int, Tensor]) -> Tensor:
        return values[self.model.features].permute(0, 1, 3, 4, 2).flatten(2)

    def _run(self, values: dict[int, Tensor], first: int, last: int, trained: dict[int, Weights]) -> dict[int, Tensor]:
        for i in range(first, last):
            op = self.model.ops[i]
            y = self._operator(op, values, trained.get(i) or self.frozen.get(i))
            values[op.y] = self._clamped(op, y)
        return values

    def _clamped(self, op: tlm.OperatorRecord, y: Tensor) -> Tensor:
        """At the real numbers that are the bounds of the operator's integers."""
        record = self.model.tensors[op.y]
        low, high = op.clamp
        if op.name in (ir.MEAN, ir.PAD, ir.RESHAPE):
            return y
        return y.clamp((low - record.zero_point) * record.scale, (high - record.zero_point) * record.scale)

    def _operator(self, op: tlm.OperatorRecord, values: dict[int, Tensor], weights: Weights | None) -> Tensor:
        x = values[op.x]
        if op.name in ir.WEIGHTED:
            return self._weighted(op, x, weights)
        if op.name == ir.MEAN:
            return x.mean((3, 4), keepdim=True)
        if op.name == ir.ADD:
            return x + values[op.x2]
        if op.name == ir.CLAMP:
            return x
        if op.name == ir.PAD:
            return self._pad(op, x)
        if op.name == ir.RESHAPE:
            h, w, c = self.model.tensors[op.y].shape[1:]
            return x.permute(0, 1, 3, 4, 2).reshape(*x.shape[:2], h, w, c).permute(0, 1, 4, 2, 3)
        if op.name in (ir.AVG_POOL, ir.MAX_POOL):
            return self._pool(op, x)
        raise TinylearnError(f"{op.name} is not known in real numbers", UNSUPPORTED_OPERATOR)

    def _pad(self, op: tlm.OperatorRecord, x: Tensor) -> Tensor:
        shape_x, shape_y = (self.model.tensors[i].shape for i in (op.x, op.y))
        amounts = [(op.q[1 + d], shape_y[1 + d] - shape_x[1 + d] - op.q[1 + d]) for d in range(3)]
        (top, bottom), (left, right), (front, back) = amounts
        record = self.model.tensors[op.x]
        value = (op.q[0] - record.zero_point) * record.scale
        return F.pad(x, (left, right, top, bottom, front, back), value=value)

    def _pads(self, op: tlm.OperatorRecord) -> tuple[int, int, int, int]:
        """left, right, top, bottom, as torch wants it; negative where windows leave something over."""
        x, y = (self.model.tensors[i].shape for i in (op.x, op.y))
        after = [
            (y[1 + d] - 1) * op.stride[d] + (op.kernel[d] - 1) * op.dilation[d] + 1 - op.padding[d] - x[1 + d]
            for d in range(2)
        ]
        return op.padding[1], after[1], op.padding[0], after[0]

    def _pool(self, op: tlm.OperatorRecord, x: Tensor) -> Tensor:
        flat, pads = x.flatten(0, 1), self._pads(op)
        if op.name == ir.MAX_POOL:
            y = F.max_pool2d(F.pad(flat, pads, value=-torch.inf), op.kernel, op.stride)
        else:
            ones = F.pad(torch.ones_like(flat[:1, :1]), pads)
            y = F.avg_pool2d(F.pad(flat, pads), op.kernel, op.stride) / F.avg_pool2d(ones, op.kernel, op.stride)
        return y.unflatten(0, x.shape[:2])

    def _weighted(self, op: tlm.OperatorRecord, x: Tensor, weights: Weights) -> Tensor:
        n, episodes = x.shape[:2]
        w, b = weights.w, weights.b
        own = len(w) > 1 or len(b) > 1
        if own:  # weights of its own for each episode: episodes side by side as channels
            w, b = w.expand(episodes, *w.shape[1:]), b.expand(episodes, *b.shape[1:])
        if op.name == ir.FULLY_CONNECTED:
            x = x.permute(0, 1, 3, 4, 2).reshape(n, episodes, -1, 1, 1)
        if op.name != ir.DEPTHWISE_CONV2D and tuple(w.shape[3:]) == (1, 1) and op.stride in ((1, 1), (0, 0)):
            return _pointwise(x, w, b)
        groups = x.shape[2] if op.name == ir.DEPTHWISE_CONV2D else 1
        if own:
            flat, groups = x.reshape(n, -1, *x.shape[3:]), groups * episodes
        else:
            flat = x.flatten(0, 1)
        y = _convolve(op, flat, w.flatten(0, 1), self._pads(op), groups)
        y = y.view(n, episodes, -1, *y.shape[2:])
        return y + b[None, :, :, None, None]


def _pointwise(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    n, episodes, channels, height, width = x.shape
    if len(w) == 1:
        columns = x.flatten(0, 1).flatten(2)
        y = torch.matmul(w[0, :, :, 0, 0], columns) + b[0, :, None]
        return y.view(n, episodes, -1, height, width)
    columns = x.permute(1, 2, 0, 3, 4).reshape(episodes, channels, -1)
    y = torch.baddbmm(b[:, :, None], w[:, :, :, 0, 0], columns)
    return y.view(episodes, -1, n, height, width).permute(2, 0, 1, 3, 4)


def _convolve(op: tlm.OperatorRecord, x: Tensor, w: Tensor, pads: tuple[int, ...], groups: int) -> Tensor:
    left, right, top, bottom = pads
    if (left, top) == (right, bottom) and min(pads) >= 0:
        return F.conv2d(x, w, None, op.stride, (top, left), op.dilation, groups)
    return F.conv2d(F.pad(x, pads), w, None, op.stride, 0, op.dilation, groups)


def weight_scales(model: tlm.Model, index: int) -> np.ndarray:
    """float64 [output channels]: the scale of each one's weights."""
    op = model.ops[index]
    record, channels = model.tensors[op.w], model.channels(op)
    scales = np.frombuffer(model.raw, "<f4", channels, record.scales) if record.scales else np.float32(record.scale)
    return np.broadcast_to(scales, (channels,)).astype(np.float64)


def _weights(model: tlm.Model, index: int, device: torch.device) -> Weights:
    op = model.ops[index]
    channels = model.channels(op)
    scales = weight_scales(model, index)
    stored = model.constant(op.w).astype(np.float64)
    if op.name == ir.DEPTHWISE_CONV2D:
        w = stored.transpose(3, 0, 1, 2) * scales[:, None, None, None]
    else:
        w = stored.transpose(0, 3, 1, 2) * scales[:, None, None, None]
        if op.name == ir.FULLY_CONNECTED:
            w = w.reshape(channels, -1, 1, 1)
    bias = np.zeros(channels)
    if op.b != tlm.NOBODY:
        bias = model.constant(op.b).reshape(-1) * scales * float(model.tensors[op.x].scale)
    w, bias = (torch.from_numpy(value.astype(np.float32))[None].to(device) for value in (w, bias))
    return Weights(w, bias)
