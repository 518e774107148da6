"""Gradient filtering against float64: the paper's equations as they stand, and what they say for any window.

With S the sums of the masked dy over a patch, brought to the width (unit u1) and scaled (unit u2):

    S       |error| <= scale u1 + u2 + 2^-14 |S|        u1, u2 <= 2 max / 2^bits
    dx~     |error| <= sum |T| error(S) / n + u2 / 2 + d
    dw~     |error| <= sum |xm - z| error(S) + sum |S| / 2 + 2^-14 max |dw~ of the row|        xm is a rounded mean
    db      |error| <= sum error(S) + 2^-14 |db|
"""

from __future__ import annotations

import numpy as np
import pytest
from graphs_backward import Maker
from hypothesis import given, settings
from hypothesis import strategies as st
from tail import ACCUMULATE, BIAS, FILTER, INPUT, WEIGHTS, Reference, Tail, Train, inside, scales
from test_gradients import PLAN, SEED, WIDTH, convolution, fitting_rate, random_dy, random_x
from tinylearn_host import ir, simulator

simulator.on_path()
import tl_filter  # noqa: E402
import tl_grad  # noqa: E402

PARAMS = 51
SIDE = st.sampled_from([2, 4])


class Filtered:
    """dx, dw, db and their bounds of a tail's only operator, in float64."""

    def __init__(self, tail: Tail, dy: np.ndarray, exponent: int):
        self.tail, self.op = tail, tail.model.ops[0]
        self.r, (self.h, self.w) = tail.filters[0], tail.patches(0)
        t, wt = tail.model.tensors[self.op.x], tail.model.tensors[self.op.w]
        self.depthwise = self.op.name == ir.DEPTHWISE_CONV2D
        self.x = tail.view(self.op.x).astype(np.float64).reshape(t.shape)[0] - t.zero_point
        w = tail.model.constant(self.op.w).astype(np.float64).reshape(wt.shape)
        self.kernel = w.reshape(-1, w.shape[3]) if self.depthwise else w.reshape(w.shape[0], -1, w.shape[3])
        shape = tail.model.tensors[self.op.y].shape
        self.masked = (np.ldexp(dy.astype(np.float64), exponent).reshape(shape) * inside(tail, 0))[0]
        self.sums = self.pool(self.masked) * scales(tail, 0)
        self.find_inputs()
        self.find_error()

    def pool(self, y: np.ndarray) -> np.ndarray:
        """[h, w, c]: sums over patches of outputs."""
        r = self.r
        return np.array(
            [[y[p * r : p * r + r, q * r : q * r + r].sum((0, 1)) for q in range(self.w)] for p in range(self.h)]
        )

    def owners(self, axis: int, n: int, patches: int) -> np.ndarray:
        """[n]: the patch of each input row or column: that of the output whose stride's inputs it is among."""
        k, d, s, pad = (getattr(self.op, name)[axis] for name in ("kernel", "dilation", "stride", "padding"))
        first = max((k - 1) * d - (s - 1), 0) // 2 - pad
        return ((np.arange(n) - first) // (self.r * s)).clip(0, patches - 1)

    def find_inputs(self) -> None:
        rows, columns = self.owners(0, self.x.shape[0], self.h), self.owners(1, self.x.shape[1], self.w)
        self.of = [[np.ix_(rows == p, columns == q) for q in range(self.w)] for p in range(self.h)]
        self.n = np.array([[self.x[at].shape[0] * self.x[at].shape[1] for at in line] for line in self.of])
        self.means = np.array([[self.x[at].mean((0, 1)) if n else np.zeros(self.x.shape[2])
                                for at, n in zip(*line, strict=True)]
                               for line in zip(self.of, self.n, strict=True)])  # fmt: skip

    def find_error(self) -> None:
        tail, y = self.tail, self.masked.shape
        raw = np.abs(self.pool(self.masked)).max()
        first = 2.0 ** (np.floor(np.log2(raw)) + 2 - (tail.width - 1)) if raw else 0
        terms = max(128 * int(np.prod(self.op.kernel)) * y[2], 255 * y[0] * y[1])
        bits = min(tail.width - 1, 31 - terms.bit_length())
        most = np.abs(self.sums).max() * (1 + 2**-13) + first * scales(tail, 0).max()
        self.unit = 2.0 ** (np.floor(np.log2(most)) + 1 - bits) if most else 0
        self.error = scales(tail, 0) * first + self.unit + 2**-14 * np.abs(self.sums)

    def through(self, sums: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """[h, w, in_c]: sum over output channels of sums * T."""
        if not self.depthwise:
            return sums @ kernel.sum(1)
        return (sums * kernel.sum(0)).reshape(self.h, self.w, self.x.shape[2], -1).sum(3)

    def spread(self, patches: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(self.x)
        for p in range(self.h):
            for q in range(self.w):
                if self.n[p, q]:
                    dx[self.of[p][q]] = patches[p, q] / self.n[p, q]
        return dx

    def gather(self, sums: np.ndarray, means: np.ndarray) -> np.ndarray:
        """[out_c, in_c], or [out_c] of a depthwise: dw of every tap."""
        if not self.depthwise:
            return np.einsum("pqo,pqi->oi", sums, means)
        return (sums * np.repeat(means, sums.shape[2] // means.shape[2], 2)).sum((0, 1))


def paper(f: Filtered) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw of a conv2d) by equations 2, 3 and 5 and the stride's correction: windows that cover the image evenly."""
    r, (sh, sw) = f.r, f.op.stride
    gradient = f.masked * scales(f.tail, 0)
    dx, dw = np.zeros_like(f.x), np.zeros((gradient.shape[2], f.x.shape[2]))
    kernel = f.kernel.sum(1)
    for p in range(f.h):
        for q in range(f.w):
            patch = gradient[p * r : (p + 1) * r, q * r : (q + 1) * r]
            g = patch.sum((0, 1)) / (patch.shape[0] * patch.shape[1])
            inputs = np.s_[p * r * sh : (p + 1) * r * sh, q * r * sw : (q + 1) * r * sw]
            dx[inputs] = (g @ kernel) / (sh * sw)
            dw += np.outer(g, f.x[inputs].sum((0, 1))) / (sh * sw)
    return dx, dw


def run(graph, width, r, seed, **options) -> tuple[Tail, Filtered]:
    tail = Tail(graph, width, filters={0: r}, seed=seed % 2**31 or 1, **options)
    rng = np.random.default_rng(seed)
    tail.forward(random_x(tail, rng))
    dy, exponent = random_dy(tail, rng), int(rng.integers(-40, 41))
    found = Filtered(tail, dy, exponent)
    tail.backward(dy, exponent)
    return tail, found


def check(graph, width, r, seed) -> Filtered:
    tail, f = run(graph, width, r, seed)
    dx = f.spread(f.through(f.sums, f.kernel))
    bound = f.spread(f.through(f.error, np.abs(f.kernel))) * (1 + 1e-9)
    step = 2.0 ** tail.exponent(f.op.x)
    assert (np.abs(tail.real(f.op.x)[0] - dx) <= bound + f.unit / 2 + step).all()
    assert step <= max(4 * (np.abs(dx) + bound).max() / 2 ** (width - 1), f.unit) or not dx.any()
    dw, db = f.gather(f.sums, f.means), f.sums.sum((0, 1))
    rows = dw if dw.ndim == 2 else dw[:, None]
    w_rate, b_rate = fitting_rate(dw, 100), fitting_rate(db, 2.0**20)
    train = Train(WEIGHTS | BIAS, weight_rate=w_rate, bias_rate=b_rate)
    tail, f = run(graph, width, r, seed, train={0: train}, mode=ACCUMULATE)
    taps, size = f.kernel.shape[0] if f.depthwise else f.kernel.shape[1], tail.tables[0]["weights"]
    at = tail.tables[0]["buffer"]
    found = tail.words(at, size, np.int16).reshape(len(rows), taps, -1) / 256
    scale = w_rate[0] * 2.0 ** w_rate[1]
    bounds = f.gather(f.error, np.abs(f.means) + 0.5) + f.gather(np.abs(f.sums), np.full(f.means.shape, 0.5))
    bounds = bounds.reshape(rows.shape) + 2**-14 * np.abs(rows).max(1, keepdims=True)
    assert (np.abs(found - rows[:, None] * scale) <= bounds[:, None] * scale + 1 / 256).all()
    scale = b_rate[0] * 2.0 ** b_rate[1]
    biases = tail.words(at + -(-2 * size // 4) * 4, len(db), np.int32)
    assert (np.abs(biases - db * scale) <= (f.error.sum((0, 1)) + 2**-14 * np.abs(db)) * scale + 1).all()
    return f


@settings(deadline=None)
@given(SEED, WIDTH, SIDE, convolution())
def test_any_convolution(seed, width, r, window):
    code, shape, channels, attrs = window
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.window(code, x, channels, **attrs)
    check(maker.graph(x), width, r, seed)


@settings(deadline=None)
@given(SEED, WIDTH, SIDE, st.sampled_from([1, 3, 5]), st.sampled_from([1, 2, 3]), st.tuples(*[st.integers(1, 6)] * 4))
def test_the_equations_of_the_paper(seed, width, r, k, stride, sizes):
    """SAME padding, and as many inputs as strides: there the patches are the paper's."""
    h, w, in_c, out_c = sizes
    shape = (h * stride, w * stride)
    before, after = zip(*[ir.same_padding(n, k, stride, 1) for n in shape], strict=True)
    maker = Maker(seed)
    x = maker.activation((*shape, in_c))
    maker.window(ir.CONV2D, x, out_c, (k, k), (stride, stride), padding=(*before, *after))
    f = check(maker.graph(x), width, r, seed)
    dx, dw = paper(f)
    largest = np.abs(f.sums).max()  # times what it is multiplied by: sums of products may cancel to nothing
    assert np.allclose(
        f.spread(f.through(f.sums, f.kernel)), dx, rtol=1e-9, atol=1e-9 * largest * np.abs(f.kernel).max()
    )
    assert np.allclose(f.gather(f.sums, f.means), dw, rtol=1e-9, atol=1e-9 * largest * np.abs(f.means).max())


@settings(deadline=None)
@given(SEED, SIDE, st.tuples(*[st.integers(1, 9)] * 4))
def test_a_pointwise_convolution_loses_nothing_but_detail(seed, r, sizes):
    """Over every patch, dx adds up to what autograd says; of an image of such patches dw is the same as well."""
    h, w, in_c, out_c = sizes
    maker = Maker(seed)
    x = maker.activation((h, w, in_c))
    maker.window(ir.CONV2D, x, out_c, (1, 1))
    tail = Tail(maker.graph(x), 16, filters={0: r})
    rng = np.random.default_rng(seed)
    flat = random_x(tail, rng).reshape(h, w, in_c)
    flat = flat[np.ix_(np.arange(h) // r * r, np.arange(w) // r * r)]
    tail.forward(flat)
    dy = random_dy(tail, rng)
    f, reference = Filtered(tail, dy, 0), Reference(tail, dy)
    tail.backward(dy)
    patches = [f.pool(a[0]) for a in (tail.real(f.op.x), reference.dx[f.op.x])]
    bound = f.through(f.error, np.abs(f.kernel)) + (f.unit / 2 + 2.0 ** tail.exponent(f.op.x)) * r * r
    assert (np.abs(patches[0] - patches[1]) <= bound).all()
    dw = reference.dw[0].reshape(out_c, in_c)
    assert np.allclose(f.gather(f.sums, f.means), dw, rtol=1e-9, atol=1e-6 + 1e-9 * np.abs(dw).max())
    kept = tail.words(tail.patches_at[0], tail.patches_bytes(0), np.int8).reshape(f.means.shape)
    assert np.array_equal(kept, np.rint(f.means) + tail.model.tensors[f.op.x].zero_point)


def test_sums_are_pushed_to_no_side():
    """They lose one or two bits: of what ends in a half then, always rounded up, the mean error would be an eighth of a
    unit and more."""
    maker = Maker(4)
    x = maker.activation((120, 120, 1))
    maker.window(ir.CONV2D, x, 1, (1, 1))
    tail = Tail(maker.graph(x), 8, filters={0: 2})
    tail.forward(random_x(tail, maker.rng))
    dy = maker.rng.integers(-90, 91, 120 * 120)
    f = Filtered(tail, dy, 0)
    tail.backward(dy)
    found, sums = tail.real(f.op.y).ravel()[: f.sums.size], f.sums.ravel()  # found: in a unit that nobody keeps
    unit = 2.0 ** np.rint(np.log2(np.abs(sums).sum() / np.abs(found).sum()))
    assert abs((found - sums / unit).mean()) < 0.04  # six standard errors


def test_x_may_be_gone_on_the_way_back():
    """The forward keeps patches; what comes to lie over x changes nothing."""
    maker = Maker(4)
    x = maker.activation((8, 8, 3))
    maker.window(ir.CONV2D, x, 5, (3, 3), padding=(1, 1, 1, 1))
    train = {0: Train(WEIGHTS | BIAS, weight_rate=(20000, -20), bias_rate=(20000, -12))}
    moved = []
    for spoil in (False, True):
        tail = Tail(maker.graph(x), 16, train, filters={0: 2})
        tail.forward(random_x(tail, np.random.default_rng(1)))
        if spoil:
            tail.view(tail.model.input)[:] = 77
        tail.backward(random_dy(tail, np.random.default_rng(2)))
        moved.append(tail.view(tail.model.ops[0].w).copy())
    assert np.array_equal(*moved)
    assert (moved[0] != tail.model.constant(tail.model.ops[0].w).reshape(-1)).mean() > 0.3
    assert tail.patches_bytes(0) * 4 == tail.model.tensors[tail.model.input].bytes


def test_what_does_not_fit_is_refused():
    maker = Maker(2)
    x = maker.activation((6, 6, 3))
    y = maker.window(ir.CONV2D, x, 5, (1, 1))
    y = maker.window(ir.MAX_POOL, y, 5, (2, 2), (2, 2))
    maker.dense(y, 4)
    tail = Tail(maker.graph(x), 16, {0: Train(WEIGHTS)}, filters={0: 2})
    tail.forward(random_x(tail, maker.rng))
    names = {"flags": 1, "patches": 4, "scratch": 7}
    need = 4 * 3 * (9 + 6 + 1)

    def status(record=2, **changes):
        plan = tail.plan()
        for name, value in changes.items():
            plan[record, names[name]] = value
        return tl_grad.backward(tail.file, tail.arena, tail.places, plan, tail.state)

    assert status() == 0 and status(scratch=need) == 0
    flags = int(tail.plan()[2, 1])
    assert status(flags=FILTER[2], patches=-1, scratch=4 * 5) == 0  # dy alone is reduced
    for changes in (
        {"scratch": need - 4}, {"flags": FILTER[2], "scratch": 16}, {"patches": -1}, {"patches": len(tail.arena) - 20},
        {"patches": int(tail.gradient_at[tail.model.input])}, {"patches": 2}, {"patches": tail.scratch_at},
    ):  # fmt: skip
        assert status(**changes) == PLAN + 512, changes
    assert status(0, flags=FILTER[4] | INPUT) == PLAN  # a dense layer has no pixels
    assert status(1, flags=FILTER[4] | INPUT) == PLAN + 256  # and a pool is none
    assert flags & FILTER[2]


def test_patches_of_what_is_not_there_are_refused():
    maker = Maker(2)
    x = maker.activation((6, 6, 3))
    maker.dense(maker.window(ir.CONV2D, x, 5, (1, 1)), 4)
    tail = Tail(maker.graph(x), 16, filters={0: 4})
    size, file = len(tail.arena), tail.file

    def status(op, r, at, arena=tail.arena, places=tail.places):
        return tl_filter.patches(np.array([op, r, at], np.int32), file, places, arena)

    at = tail.patches_at[0]
    assert status(0, 4, at) == 0
    for op, r, where in ((-1, 4, at), (2, 4, at), (0, 3, at), (0, 0, at), (0, 8, at)):
        assert status(op, r, where) == PARAMS
    for op, r, where in ((1, 4, at), (0, 4, -4), (0, 4, size - 8), (0, 4, 2), (0, 4, int(tail.places[0]))):
        assert status(op, r, where) == PLAN
    assert tl_filter.patches(np.zeros(2, np.int32), file, tail.places, tail.arena) == PARAMS
    assert status(0, 4, at, places=tail.places[:1].copy()) == 49
    assert status(0, 4, at, arena=tail.arena[:4].copy()) != 0
    with pytest.raises(TypeError):
        status(0, 4, at, arena=bytes(size))
