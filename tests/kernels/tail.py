"""A model's operators run forward and back as a board does it, and the same problem in float64 by PyTorch autograd.

`Tail` lays every tensor, gradient, mask and table of a graph side by side in one arena, so that tests can read them.
`Reference` is the de-quantised problem: real convolutions on x - x zero, in the integers' own units; activations take
the integers that the board computed, and rounding passes gradients through where the clamp does not stop them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from tinylearn_host import ir, simulator, tlm

simulator.on_path()

WEIGHTS, BIAS, INPUT, ADD, ADD2, FISHER, PULL = 1, 2, 4, 8, 16, 32, 64
FILTER = {2: 128, 4: 256}
SGD, MOMENTUM, ACCUMULATE, APPLY = range(4)
STATE = 8  # words
WORDS = 16  # of a plan's record


@dataclass
class Train:
    """What to train of one operator. rates: (mantissa, exponent), the same for all output channels."""

    flags: int = 0
    first: int = 0
    count: int = 0
    channels: list[int] | None = None
    axis: int = 0
    weight_rate: tuple[int, int] = (1, 0)
    bias_rate: tuple[int, int] = (1, 0)

    def chosen(self, n: int) -> list[int]:
        if self.channels is not None:
            return self.channels
        return list(range(self.first, self.first + self.count)) if self.count else list(range(n))


@dataclass
class Pull:
    """L += weight / 2 * sum (y - reference)^2 over channels of an operator's output; channels None: all.

    reference: int8 [positions, number of channels]. weight: (mantissa, exponent).
    """

    reference: np.ndarray
    weight: tuple[int, int]
    channels: list[int] | None = None

    def real(self) -> float:
        return self.weight[0] * 2.0 ** self.weight[1]


@dataclass
class Tail:
    """graph: every weighted operator has a bias. width: 8 or 16. fisher: the axis of operators that are not trained.

    scratch_least: bytes, for fast kernels.

    filters: the side of patches, 2 or 4, of operators whose gradients are filtered.
    """

    graph: ir.Graph
    width: int
    train: dict[int, Train] = field(default_factory=dict)
    mode: int = SGD
    momentum: int = 0
    seed: int = 1
    fisher: dict[int, int] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    filters: dict[int, int] = field(default_factory=dict)
    scratch_least: int = 4

    def __post_init__(self):
        self.file = np.frombuffer(tlm.build(self.graph, growth=None), np.uint8).copy()
        self.model = tlm.read(self.file.tobytes())
        self.size = 0
        tensors, ops = self.model.tensors, self.model.ops
        self.places = np.full(len(tensors), -1, np.int32)
        self.trained = {ops[i].w for i in self.train} | {ops[i].b for i in self.train}
        for i, t in enumerate(tensors):
            if t.region == 1 or i in self.trained:
                self.places[i] = self.take(t.bytes)
        self.exponents_at = self.take(4 * len(tensors))
        self.gradient_at = {i: self.take(t.bytes * self.width // 8) for i, t in enumerate(tensors) if t.region == 1}
        self.masks = np.array([self.take(-(-tensors[op.y].bytes // 8)) for op in ops], np.int32)
        self.scratch_bytes = max(self.scratch_least, *map(self.scratch, range(len(ops))))
        self.scratch_at = self.take(self.scratch_bytes)
        self.tables = {i: self.lay_tables(i, t) for i, t in self.train.items()}
        self.fisher_at = {i: self.take(8 * self.fisher_channels(i)) for i in self.fisher}
        self.patches_at = {i: self.take(self.patches_bytes(i)) for i in self.filters}
        self.pulls_at = {i: self.lay_pull(p) for i, p in self.pulls.items()}
        self.arena = np.zeros(self.size, np.int8)
        for i in self.trained:
            self.view(i)[:] = self.model.constant(i).reshape(-1)
        for i, t in self.train.items():
            self.fill_tables(i, t)
        for i, p in self.pulls.items():
            self.fill_pull(p, *self.pulls_at[i])
        self.state = np.zeros(STATE, np.int32)
        self.state[[0, 1, 3, 4]] = self.seed, self.exponents_at, self.mode, self.momentum

    def take(self, n: int) -> int:
        at = self.size
        self.size += -(-n // 4) * 4
        return at

    def channels(self, i: int) -> tuple[int, int, int]:
        """(taps, channels of one row of trained weights, output channels) of an operator with weights."""
        op = self.model.ops[i]
        w = self.model.tensors[op.w].shape
        if op.name == ir.DEPTHWISE_CONV2D:
            return w[1] * w[2], 1, w[3]
        return w[1] * w[2], w[3], w[0]

    def fisher_channels(self, i: int) -> int:
        op = self.model.ops[i]
        return self.model.tensors[op.y if self.fisher[i] else op.x].shape[3]

    def information(self, i: int) -> np.ndarray:
        """float64 [channels]: the sum of squares that operator i's records have left."""
        pairs = self.words(self.fisher_at[i], 2 * self.fisher_channels(i), np.int32).reshape(-1, 2)
        return np.ldexp(pairs[:, 0].astype(np.float64), pairs[:, 1])

    def selected(self, i: int) -> tuple[list[int], list[int]]:
        """(input channels, output channels) that are trained."""
        _, n_in, n_out = self.channels(i)
        t = self.train[i]
        output = t.axis == 1 or self.model.ops[i].name == ir.DEPTHWISE_CONV2D
        return (list(range(n_in)), t.chosen(n_out)) if output else (t.chosen(n_in), list(range(n_out)))

    def scratch(self, i: int) -> int:
        op = self.model.ops[i]
        _, _, w, c = self.model.tensors[op.x].shape
        row = 4 * w * c
        if i in self.train:
            row = max(row, 4 * self.channels(i)[0] * len(self.selected(i)[0]))
        if i in self.filters:
            h, w = self.patches(i)
            _, _, in_w, in_c = self.model.tensors[op.x].shape
            row = max(row, 4 * self.channels(i)[2], 4 * in_c * (h * w + in_w + 1))
        return row

    def patches(self, i: int) -> tuple[int, int]:
        """How many there are of a filtered operator, down and across."""
        _, h, w, _ = self.model.tensors[self.model.ops[i].y].shape
        return -(-h // self.filters[i]), -(-w // self.filters[i])

    def lay_tables(self, i: int, t: Train) -> dict[str, int]:
        taps, _, n_out = self.channels(i)
        inputs, outputs = self.selected(i)
        weights = taps * len(inputs) * len(outputs) if t.flags & WEIGHTS else 0
        buffer = -(-2 * weights // 4) * 4 + (4 * len(outputs) if t.flags & BIAS else 0)
        return {
            "weight_rates": self.take(4 * n_out),
            "bias_rates": self.take(4 * n_out),
            "list": self.take(2 * len(t.channels)) if t.channels is not None else -1,
            "buffer": self.take(buffer) if self.mode != SGD else -1,
            "weights": weights,
        }

    def fill_tables(self, i: int, t: Train) -> None:
        for name, rate in (("weight_rates", t.weight_rate), ("bias_rates", t.bias_rate)):
            n_out = self.channels(i)[2]
            self.words(self.tables[i][name], 2 * n_out, np.int16)[:] = np.tile(np.array(rate, np.int16), n_out)
        if t.channels is not None:
            self.words(self.tables[i]["list"], len(t.channels), np.int16)[:] = t.channels

    def patches_bytes(self, i: int) -> int:
        return int(np.prod(self.patches(i))) * self.model.tensors[self.model.ops[i].x].shape[3]

    def lay_pull(self, p: Pull) -> tuple[int, int, int]:
        listed = p.channels is not None
        return self.take(4), self.take(2 * len(p.channels)) if listed else -1, self.take(p.reference.size)

    def fill_pull(self, p: Pull, weight_at: int, list_at: int, reference_at: int) -> None:
        self.words(weight_at, 2, np.int16)[:] = p.weight
        if p.channels is not None:
            self.words(list_at, len(p.channels), np.int16)[:] = p.channels
        self.words(reference_at, p.reference.size, np.int8)[:] = p.reference.reshape(-1)

    def pull_row(self, i: int) -> list[int]:
        weight, channels, reference = self.pulls_at[i]
        count = 0 if channels < 0 else len(self.pulls[i].channels)
        dy = self.gradient_at[self.model.ops[i].y]
        return [i, PULL, dy, 0, -1, -1, 0, 0, 0, count, channels, 1, weight, 0, reference, self.width]

    def words(self, at: int, n: int, kind) -> np.ndarray:
        return self.arena[at : at + n * np.dtype(kind).itemsize].view(kind)

    def view(self, i: int) -> np.ndarray:
        """A tensor's values in the arena."""
        t = self.model.tensors[i]
        raw = self.arena[self.places[i] : self.places[i] + t.bytes]
        return raw.view(np.int32) if t.type == 1 else raw

    def gradient(self, i: int) -> np.ndarray:
        return self.words(self.gradient_at[i], self.model.tensors[i].bytes, np.int8 if self.width == 8 else np.int16)

    def exponent(self, i: int) -> int:
        return int(self.words(self.exponents_at, len(self.model.tensors), np.int32)[i])

    def real(self, i: int) -> np.ndarray:
        """dL/dx_q of tensor i, float64 in its shape."""
        return np.ldexp(self.gradient(i).astype(np.float64), self.exponent(i)).reshape(self.model.tensors[i].shape)

    def plan(self) -> np.ndarray:
        """Every operator but a softmax, last first; tensors with several readers are added to."""
        rows, written = [], set()
        for i in reversed(range(len(self.model.ops))):
            op, t = self.model.ops[i], self.train.get(i)
            flags = INPUT | (ADD if op.x in written or op.x == op.x2 else 0) | (ADD2 if op.x2 in written else 0)
            written |= {op.x, op.x2}
            tables = self.tables.get(i, {"weight_rates": 0, "bias_rates": 0, "list": -1, "buffer": -1})
            second = self.gradient_at.get(op.x2, -1)
            row = [i, flags | (t.flags if t else 0), self.gradient_at[op.y], self.gradient_at[op.x], second]
            row += [self.masks[i], self.scratch_at, self.scratch_bytes]
            row += [t.first, t.count if t.channels is None else len(t.channels)] if t else [0, 0]
            row += [tables["list"], t.axis if t else 0, tables["weight_rates"], tables["bias_rates"], tables["buffer"]]
            if i in self.fisher:
                row[1], row[11], row[14] = row[1] | FISHER, self.fisher[i], self.fisher_at[i]
            if i in self.filters:
                row[1], row[4] = row[1] | FILTER[self.filters[i]], self.patches_at[i]
            rows += [self.pull_row(i)] if i in self.pulls else []
            rows.append([*row, self.width])
        return np.array(rows, np.int32)

    def forward(self, x: np.ndarray) -> None:
        import tl_filter
        import tl_infer

        self.view(self.model.input)[:] = x.reshape(-1)
        begin = 0
        for i in [*sorted(self.filters), len(self.model.ops)]:
            status = tl_infer.run(self.file, self.arena, begin, i, self.places, self.masks)
            assert status == 0, simulator.explain(status)
            if i in self.filters:
                params = np.array([i, self.filters[i], self.patches_at[i]], np.int32)
                assert tl_filter.patches(params, self.file, self.places, self.arena) == 0
            begin = i

    def backward(self, dy: np.ndarray, exponent: int = 0) -> None:
        """From a gradient of the last operator's output, integers that fit the width."""
        import tl_grad

        self.gradient(self.model.ops[-1].y)[:] = dy.reshape(-1)
        self.state[2] = exponent
        status = tl_grad.backward(self.file, self.arena, self.places, self.plan(), self.state)
        assert status == 0, (status % 256, status // 256)


def inside(tail: Tail, i: int) -> np.ndarray:
    """bool in the output's shape: what the clamp of operator i lets through."""
    op = tail.model.ops[i]
    y = tail.view(op.y).reshape(tail.model.tensors[op.y].shape)
    low, high = op.clamp if op.name not in (ir.MEAN, ir.PAD, ir.RESHAPE) else (-128, 127)
    return (y > low) & (y < high)


class Reference:
    """Autograd on a tail that ran forward: `dx[tensor]`, `dw[op]`, `db[op]`, `sum_grad[op]`; float64.

    sum_grad: dL/d(sum of products and bias) of weighted operators, that is the real G.
    """

    def __init__(self, tail: Tail, dy: np.ndarray, exponent: int = 0):
        self.tail = tail
        model = tail.model
        self.values = {model.input: self.leaf(tail.view(model.input).reshape(model.tensors[model.input].shape))}
        self.w, self.b, self.sums = {}, {}, {}
        for i, op in enumerate(model.ops):
            self.values[op.y] = self.through(i, self.operator(i, op))
        last = model.ops[-1].y
        real = torch.tensor(np.ldexp(dy.astype(np.float64), exponent).reshape(model.tensors[last].shape))
        pulled = [self.pull(model.ops[i].y, p) for i, p in tail.pulls.items()]
        sum(pulled, (self.values[last] * real).sum()).backward()
        self.dx = {i: v.grad.numpy() for i, v in self.values.items() if v.grad is not None}
        self.dw = {i: v.grad.numpy() for i, v in self.w.items()}
        self.db = {i: v.grad.numpy() for i, v in self.b.items()}
        self.sum_grad = {i: v.grad.numpy() for i, v in self.sums.items()}

    def pull(self, tensor: int, p: Pull):
        y = self.values[tensor].reshape(-1, self.values[tensor].shape[-1])
        chosen = y if p.channels is None else y[:, p.channels]
        return p.real() / 2 * ((chosen - torch.tensor(p.reference.astype(np.float64)).reshape(chosen.shape)) ** 2).sum()

    def leaf(self, a: np.ndarray):
        return torch.tensor(a.astype(np.float64), requires_grad=True)

    def through(self, i: int, real):
        """The integers that the board computed, with the real computation's gradient where the clamp passes it."""
        op, tail = self.tail.model.ops[i], self.tail
        y = torch.tensor(tail.view(op.y).astype(np.float64).reshape(tail.model.tensors[op.y].shape))
        masked = real.reshape(y.shape) * torch.tensor(inside(tail, i).astype(np.float64))
        out = masked + (y - masked).detach()
        out.retain_grad()
        return out

    def constant(self, index: int) -> np.ndarray:
        tail = self.tail
        shape = tail.model.tensors[index].shape
        return tail.view(index).reshape(shape) if tail.places[index] >= 0 else tail.model.constant(index)

    def operator(self, i: int, op):
        """The operator's real value in units of y, less y's zero point."""
        tensors = self.tail.model.tensors
        functional = torch.nn.functional
        xt, yt = tensors[op.x], tensors[op.y]
        x = self.values[op.x] - (0 if op.name in (ir.AVG_POOL, ir.MAX_POOL) else xt.zero_point)
        chw = x.permute(0, 3, 1, 2)
        if op.name in ir.WEIGHTED:
            self.w[i], self.b[i] = self.leaf(self.constant(op.w)), self.leaf(self.constant(op.b).reshape(-1))
            sums = self.weighted(op, x, chw, self.w[i]) + self.b[i]
            sums.retain_grad()
            self.sums[i] = sums
            return sums * torch.tensor(scales(self.tail, i))
        if op.name in (ir.AVG_POOL, ir.MAX_POOL):
            pads = self.padding(op, chw)
            if op.name == ir.MAX_POOL:
                padded = functional.pad(chw, pads, value=-1000.0)
                return functional.max_pool2d(padded, op.kernel, op.stride).permute(0, 2, 3, 1)
            size = op.kernel[0] * op.kernel[1]
            sums, counts = (
                functional.avg_pool2d(functional.pad(a, pads), op.kernel, op.stride) * size
                for a in (chw, torch.ones_like(chw))
            )
            return (sums / counts).permute(0, 2, 3, 1)
        ratio = float(xt.scale) / float(yt.scale)
        if op.name == ir.MEAN:
            return x.mean((1, 2)) * ratio
        if op.name == ir.ADD:
            x2 = tensors[op.x2]
            return x * ratio + (self.values[op.x2] - x2.zero_point) * (float(x2.scale) / float(yt.scale))
        if op.name == ir.PAD:
            after = [yt.shape[1 + d] - xt.shape[1 + d] - op.q[1 + d] for d in range(3)]
            return functional.pad(x, [n for d in (2, 1, 0) for n in (op.q[1 + d], after[d])])
        if op.name == ir.CLAMP:
            return x * (op.q[0] * 2.0 ** (op.q[1] - 31))
        assert op.name == ir.RESHAPE
        return x

    def padding(self, op, chw) -> list[int]:
        """left, right, top, bottom, as torch wants it; negative where the windows leave something over."""
        y = self.tail.model.tensors[op.y].shape
        found = []
        for axis in (1, 0):
            reach = (y[1 + axis] - 1) * op.stride[axis] + (op.kernel[axis] - 1) * op.dilation[axis] + 1
            found += [op.padding[axis], reach - op.padding[axis] - chw.shape[2 + axis]]
        return found

    def weighted(self, op, x, chw, w):
        functional = torch.nn.functional
        if op.name == ir.FULLY_CONNECTED:
            return (x.reshape(1, -1) @ w.reshape(w.shape[0], -1).T).reshape(1, 1, 1, -1)
        padded = functional.pad(chw, self.padding(op, chw))
        if op.name == ir.CONV2D:
            y = functional.conv2d(padded, w.permute(0, 3, 1, 2), stride=op.stride, dilation=op.dilation)
        else:
            kernel = w.permute(3, 0, 1, 2)
            y = functional.conv2d(padded, kernel, stride=op.stride, dilation=op.dilation, groups=chw.shape[1])
        return y.permute(0, 2, 3, 1)


def scales(tail: Tail, i: int) -> np.ndarray:
    """x scale * w scale / y scale per output channel."""
    op, tensors = tail.model.ops[i], tail.model.tensors
    w = tensors[op.w]
    n = tail.channels(i)[2]
    of_w = np.frombuffer(tail.model.raw, "<f4", n, w.scales) if w.scales else np.full(n, w.scale)
    return of_w.astype(np.float64) * float(tensors[op.x].scale) / float(tensors[op.y].scale)
