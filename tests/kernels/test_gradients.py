"""Integer gradients against PyTorch autograd in float64 on the de-quantised problem, each with a bound on its error.

With b bits for a gradient tensor (7 or 15, fewer where sums of that many products would leave an int32), M the largest
|dy * S| and u = 2^(floor(log2 M) + 1 - b) <= 2 M / 2^b the unit that G = dy * S gets:

    G           |error| <= u + 2^-15 |G|                       rounding, the top value's clipping; S has 15 bits
    dx          |error| <= sum |w| error(G) + d                d: one unit of dx, narrowed row by row; where another
                                                               reader's gradient lies there already, 2 d
    dw          |error| <= sum |x - z| error(G) + 2^-15 max |dw of a row|       before the random rounding
    db          |error| <= sum error(G) + 2^-15 |db|

The unit d is not free: dx uses all of its bits, d <= 4 max |dx| / 2^bits, or the sums are exact integers of unit u.
Operators without weights have S = 1 or 15 bits of it: |error| <= 2^-14 |dx| + d. avg_pool: 1 / count has 31 - width
- log2(windows over a pixel) bits.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graphs_backward import Maker, network
from hypothesis import given, settings
from hypothesis import strategies as st
from tail import ACCUMULATE, APPLY, BIAS, MOMENTUM, SGD, WEIGHTS, Reference, Tail, Train, inside, scales
from tinylearn_host import ir, simulator

simulator.on_path()
import tl_channels  # noqa: E402
import tl_grad  # noqa: E402

SEED = st.integers(0, 2**32 - 1)
WIDTH = st.sampled_from([8, 16])
PARAMS, LABEL, PLAN = 51, 54, 56


@st.composite
def convolution(draw, code=None):
    """(seed, code, in shape, out channels, window)"""
    code = code or draw(st.sampled_from([ir.CONV2D, ir.DEPTHWISE_CONV2D]))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = (1, 1)
    if code in (ir.CONV2D, ir.DEPTHWISE_CONV2D):
        dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    before = [draw(st.integers(0, r)) for r in reach]
    after = [draw(st.integers(0, r)) for r in reach]
    if code == ir.AVG_POOL or code == ir.MAX_POOL:  # a pool's window always has a pixel
        before, after = [min(n, k - 1) for n, k in zip(before, kernel, strict=True)], [0, 0]
    shape = [max(draw(st.integers(1, 7)), r + 1 - b - a, 1) for r, b, a in zip(reach, before, after, strict=True)]
    # the last window starts inside the image
    after = [
        min(a, max(0, n - 1 + r - (n + b - 1)) if b else a)
        for a, n, r, b in zip(after, shape, reach, before, strict=True)
    ]
    shape = [max(n, r + 1 - b - a) for n, r, b, a in zip(shape, reach, before, after, strict=True)]
    in_c = draw(st.integers(1, 6))
    channels = in_c * draw(st.integers(1, 3)) if code == ir.DEPTHWISE_CONV2D else draw(st.integers(1, 9))
    return code, (*shape, in_c), channels, {
        "kernel": kernel, "stride": stride, "dilation": dilation, "padding": (*before, *after)
    }  # fmt: skip


def random_x(tail: Tail, rng) -> np.ndarray:
    return rng.integers(-128, 128, tail.model.tensors[tail.model.input].bytes).astype(np.int8)


def random_dy(tail: Tail, rng) -> np.ndarray:
    most = 2 ** int(rng.integers(1, tail.width)) - 1
    dy = rng.integers(-most, most + 1, tail.model.tensors[tail.model.ops[-1].y].bytes)
    return dy * (rng.random(dy.shape) < rng.choice([0.3, 1.0]))


def ran(tail: Tail, seed: int, fill: int = 0) -> Reference:
    """The tail after one forward and backward from random values, and autograd's answer."""
    rng = np.random.default_rng(seed)
    tail.forward(random_x(tail, rng))
    dy, exponent = random_dy(tail, rng), int(rng.integers(-40, 41))
    reference = Reference(tail, dy, exponent)
    tail.backward(dy, exponent)
    return reference


def sum_error(tail: Tail, reference: Reference, i: int) -> tuple[np.ndarray, float]:
    """(bound on the error of G of operator i, its unit): of the real G, in its shape."""
    g = reference.sum_grad[i]
    op, y = tail.model.ops[i], g.shape
    terms = max(
        128 * int(np.prod(op.kernel)) * y[3] if op.name != ir.FULLY_CONNECTED else 128 * y[3], 255 * y[1] * y[2]
    )
    bits = min(tail.width - 1, 31 - terms.bit_length())
    most = np.abs(g).max()
    unit = 2.0 ** (np.floor(np.log2(most * (1 + 2**-14))) + 1 - bits) if most else 0.0
    return unit + 2**-15 * np.abs(g), unit


def pushed(tail: Tail, i: int, error: np.ndarray) -> np.ndarray:
    """sum of |w| * error over what dx sums over: the same backward with the absolute weights."""
    reference = Reference.__new__(Reference)
    reference.tail = tail
    op = tail.model.ops[i]
    x = reference.leaf(np.zeros(tail.model.tensors[op.x].shape))
    w = torch.tensor(np.abs(reference.constant(op.w).astype(np.float64)))
    (reference.weighted(op, x, x.permute(0, 3, 1, 2), w) * torch.tensor(error)).sum().backward()
    return x.grad.numpy()


def gathered(tail: Tail, i: int, error: np.ndarray) -> np.ndarray:
    """sum of |x - z| * error over what dw sums over."""
    reference = Reference.__new__(Reference)
    reference.tail = tail
    op = tail.model.ops[i]
    t = tail.model.tensors[op.x]
    x = torch.tensor(np.abs(tail.view(op.x).astype(np.float64) - t.zero_point).reshape(t.shape))
    w = reference.leaf(np.zeros(tail.model.tensors[op.w].shape))
    (reference.weighted(op, x, x.permute(0, 3, 1, 2), w) * torch.tensor(error)).sum().backward()
    return w.grad.numpy()


def check_unit(tail: Tail, tensor: int, real: np.ndarray, finest: float) -> float:
    """The unit of a gradient, after checking that no more bits than necessary are lost."""
    unit = 2.0 ** tail.exponent(tensor)
    if np.any(real):
        assert unit <= max(4 * np.abs(real).max() / 2 ** (tail.width - 1), finest)
    return unit


@settings(deadline=None)
@given(SEED, WIDTH, convolution())
def test_convolutions(seed, width, window):
    code, shape, channels, attrs = window
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.window(code, x, channels, **attrs)
    check_weighted(maker.graph(x), width, seed)


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 200), st.integers(1, 30))
def test_dense(seed, width, n_in, n_out):
    maker = Maker(seed)
    x = maker.activation((n_in,))
    maker.dense(x, n_out)
    check_weighted(maker.graph(x), width, seed)


def check_weighted(graph, width, seed):
    """dx, dw and db of a graph's only operator. dw and db are read from the accumulation buffer, which has 1/256 of a
    weight's and 1 of a bias's step; rates spread them over its range."""
    plain = Tail(graph, width)
    reference = ran(plain, seed)
    error, unit = sum_error(plain, reference, 0)
    op = plain.model.ops[0]
    dx = reference.dx[op.x]
    step = check_unit(plain, op.x, dx, unit)
    assert (np.abs(plain.real(op.x) - dx) <= pushed(plain, 0, error) * (1 + 1e-9) + step).all()
    dw, db = reference.dw[0], reference.db[0]
    w_rate, b_rate = fitting_rate(dw, 100), fitting_rate(db, 2.0**20)
    train = Train(WEIGHTS | BIAS, weight_rate=w_rate, bias_rate=b_rate)
    tail = Tail(graph, width, {0: train}, mode=ACCUMULATE, seed=seed % 2**31 or 1)
    ran(tail, seed)
    found = tail.words(tail.tables[0]["buffer"], dw.size, np.int16) / 256
    at = tail.tables[0]["buffer"] + -(-2 * dw.size // 4) * 4
    biases = tail.words(at, db.size, np.int32)
    rows = dw.reshape(-1, dw.shape[3]).T if op.name == ir.DEPTHWISE_CONV2D else dw.reshape(dw.shape[0], -1)
    bound = gathered(tail, 0, error)
    bounds = bound.reshape(-1, dw.shape[3]).T if op.name == ir.DEPTHWISE_CONV2D else bound.reshape(dw.shape[0], -1)
    scale = w_rate[0] * 2.0 ** w_rate[1]
    most = bounds + 2**-14 * np.abs(rows).max(1, keepdims=True)
    assert (np.abs(found.reshape(rows.shape) - rows * scale) <= most * scale + 1 / 256).all()
    scale = b_rate[0] * 2.0 ** b_rate[1]
    most = error.reshape(-1, error.shape[3]).sum(0) + 2**-14 * np.abs(db)
    assert (np.abs(biases - db * scale) <= most * scale + 1).all()
    for index, name in ((op.w, "weights"), (op.b, "biases")):
        assert np.array_equal(tail.view(index), tail.model.constant(index).reshape(-1)), f"{name} have moved"


def fitting_rate(gradient: np.ndarray, most: float) -> tuple[int, int]:
    """A power of two that brings the largest gradient to between most / 2 and most."""
    top = np.abs(gradient).max()
    return (16384, int(np.floor(np.log2(most / top))) - 14) if top else (1, 0)


POOLS = st.sampled_from([ir.AVG_POOL, ir.MAX_POOL])


@settings(deadline=None)
@given(SEED, WIDTH, POOLS.flatmap(convolution))
def test_pools(seed, width, window):
    code, shape, channels, attrs = window
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.window(code, x, channels, **attrs)
    tail = Tail(maker.graph(x), width)
    reference = ran(tail, seed)
    op = tail.model.ops[0]
    windows = np.prod([-(-k // s) for k, s in zip(op.kernel, op.stride, strict=True)])
    bits = 31 - width - int(windows).bit_length()
    part = np.prod(op.kernel) * 2.0 ** -(bits + 1) if code == ir.AVG_POOL else 0
    check_close(tail, op.x, reference, part, windows)


def check_close(tail: Tail, tensor: int, reference: Reference, part: float, terms: int = 1, units: int = 1) -> None:
    """dx of an operator without weights: `part` is each term's relative error."""
    dx, real = reference.dx[tensor], tail.real(tensor)
    last = tail.model.ops[-1].y
    dy = np.abs(reference.dx[last]).max()
    step = 2.0 ** tail.exponent(tensor)
    if np.any(dx):
        assert step <= max(4 * np.abs(dx).max() / 2 ** (tail.width - 1), 2.0 ** int(tail.state[2]))
    assert (np.abs(real - dx) <= part * dy * terms + 2**-14 * np.abs(dx) + units * step).all()


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 6), st.integers(1, 6), st.integers(1, 40))
def test_mean(seed, width, h, w, c):
    maker = Maker(seed)
    x = maker.activation((h, w, c))
    maker.op(ir.MEAN, [x], None, maker.activation((c,)))
    tail = Tail(maker.graph(x), width)
    check_close(tail, tail.model.input, ran(tail, seed), 0)


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 100), st.floats(0.01, 20))
def test_clamp(seed, width, n, ratio):
    maker = Maker(seed)
    x = maker.activation((n,))
    maker.op(ir.CLAMP, [x], None, maker.activation((n,)), clamp=maker.clamp(), ratio=ratio)
    tail = Tail(maker.graph(x), width)
    check_close(tail, tail.model.input, ran(tail, seed), 0)


def test_raising_the_exponent_pushes_no_gradient_to_one_side():
    """What is written already is shifted for every row that does not fit. Half of all int8 end in a half then, and
    rounding those up would make the mean error of this a quarter of a unit."""
    maker = Maker(3)
    x = maker.activation((4096,))
    maker.op(ir.CLAMP, [x], None, maker.activation((4096,)), clamp=(-128, 127), ratio=0.7)
    tail = Tail(maker.graph(x), 8)
    tail.forward(random_x(tail, maker.rng))
    dy = np.concatenate([maker.rng.integers(-most, most + 1, 1024) for most in (15, 31, 63, 127)])
    dx = Reference(tail, dy, 0).dx[tail.model.input]
    tail.backward(dy, 0)
    error = (tail.real(tail.model.input) - dx) / 2.0 ** tail.exponent(tail.model.input)
    assert np.abs(error).max() <= 1 + 2**-7
    assert abs(error.mean()) < 0.03  # five standard errors


@settings(deadline=None)
@given(SEED, WIDTH, st.tuples(*[st.integers(1, 5)] * 3), st.tuples(*[st.integers(0, 2)] * 6))
def test_pad(seed, width, shape, around):
    maker = Maker(seed)
    x = maker.activation(shape)
    before, after = around[:3], around[3:]
    out = [n + b + a for n, b, a in zip(shape, before, after, strict=True)]
    maker.op(ir.PAD, [x], out, before=before, after=after, value=maker.tensors[x].zero_point)
    tail = Tail(maker.graph(x), width)
    check_close(tail, tail.model.input, ran(tail, seed), 0)


@settings(deadline=None)
@given(SEED, WIDTH, st.tuples(*[st.integers(1, 5)] * 3))
def test_reshape(seed, width, shape):
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.op(ir.RESHAPE, [x], (int(np.prod(shape)),))
    tail = Tail(maker.graph(x), width)
    check_close(tail, tail.model.input, ran(tail, seed), 0)


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 60))
def test_add_gives_both_inputs_theirs_and_readers_add_up(seed, width, n):
    """y = clamp(x) + x: x gets the add's second gradient and, through the clamp, the first, added up."""
    maker = Maker(seed)
    x = maker.activation((n,))
    first = maker.op(
        ir.CLAMP, [x], None, maker.activation((n,)), clamp=maker.clamp(), ratio=float(2.0 ** maker.rng.uniform(-9, 9))
    )
    maker.add(first, x)
    tail = Tail(maker.graph(x), width)
    reference = ran(tail, seed)
    middle, dx = tail.model.ops[0].y, reference.dx[tail.model.input]
    stopped = reference.dx[middle] * inside(tail, 0)  # as its own record leaves it
    between = 2.0 ** tail.exponent(middle)
    assert (np.abs(tail.real(middle) - stopped) <= 2**-14 * np.abs(stopped) + between).all()
    between *= tail.model.ops[0].q[0] * 2.0 ** (tail.model.ops[0].q[1] - 31)
    direct = (
        reference.dx[tail.model.ops[1].y]
        * inside(tail, 1)
        * (tail.model.tensors[tail.model.input].scale / tail.model.tensors[tail.model.ops[1].y].scale)
    )
    size = np.abs(direct) + np.abs(dx - direct)
    step = 2.0 ** tail.exponent(tail.model.input)
    assert step <= max(4 * size.max() / 2 ** (width - 1), 2.0 ** int(tail.state[2])) or not size.any()
    assert (np.abs(tail.real(tail.model.input) - dx) <= between + 2**-13 * size + 2 * step).all()


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 60))
def test_a_tensor_added_to_itself_gets_both(seed, width, n):
    maker = Maker(seed)
    x = maker.activation((n,))
    maker.add(x, x)
    tail = Tail(maker.graph(x), width)
    check_close(tail, tail.model.input, ran(tail, seed), 0, units=2)


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 60))
def test_a_tensor_added_to_itself_and_read_once_more(seed, width, n):
    """y = (x + x) + x: three parts."""
    maker = Maker(seed)
    x = maker.activation((n,))
    maker.add(maker.add(x, x), x)
    tail = Tail(maker.graph(x), width)
    reference = ran(tail, seed)
    entry, (first, second) = tail.model.input, tail.model.ops
    scale = [tail.model.tensors[i].scale for i in (entry, first.y)]
    middle = np.abs(reference.dx[first.y] * inside(tail, 0)) + 2.0 ** tail.exponent(first.y)
    size = (
        2 * middle * scale[0] / scale[1]
        + np.abs(reference.dx[second.y]) * scale[0] / tail.model.tensors[second.y].scale
    )
    size = size + np.abs(reference.dx[entry])
    between = 2.0 ** tail.exponent(first.y) * 2 * scale[0] / scale[1]
    error = np.abs(tail.real(entry) - reference.dx[entry])
    assert (error <= between + 2**-13 * size + 3 * 2.0 ** tail.exponent(entry)).all()


def test_a_tensor_added_to_itself_has_one_gradient():
    """Any other plan for it is refused."""
    maker = Maker(1)
    x = maker.activation((8,))
    maker.add(x, x)
    tail = Tail(maker.graph(x), 16)
    tail.forward(random_x(tail, maker.rng))
    for field, value in ((1, 4), (1, 8), (4, -1), (4, int(tail.gradient_at[tail.model.ops[0].y]))):
        plan = tail.plan()
        plan[0, field] = value
        assert tl_grad.backward(tail.file, tail.arena, tail.places, plan, tail.state) == PLAN
    assert tl_grad.backward(tail.file, tail.arena, tail.places, tail.plan(), tail.state) == 0


# ---- Updates --------------------------------------------------------------------------------------------------------


def trained(graph, width, train, mode=SGD, seed=1, steps=1, momentum=0):
    """A tail after some backward passes from the same values, weights untouched by the forward."""
    tail = Tail(graph, width, {0: train}, mode=mode, seed=seed, momentum=momentum)
    rng = np.random.default_rng(7)
    x = random_x(tail, rng)
    dy = rng.integers(-50, 51, tail.model.tensors[tail.model.ops[-1].y].bytes)
    for _ in range(steps):
        tail.forward(x)
        tail.backward(dy)
    return tail


def pointwise(seed=3, shape=(3, 3, 5), channels=6):
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.window(ir.CONV2D, x, channels, (1, 1))
    return maker.graph(x)


def delta(tail, what="w"):
    op = tail.model.ops[0]
    index = getattr(op, what)
    return tail.view(index).astype(np.int64) - tail.model.constant(index).reshape(-1)


def ran_like_trained(graph, width) -> Reference:
    tail = Tail(graph, width)
    rng = np.random.default_rng(7)
    tail.forward(random_x(tail, rng))
    return Reference(tail, rng.integers(-50, 51, tail.model.tensors[tail.model.ops[-1].y].bytes))


def exact_steps(graph, width, most):
    """(the steps that an update rounds, to 2^-13; the rate): at most `most` long."""
    rate = fitting_rate(ran_like_trained(graph, width).dw[0], most)
    fine = Train(WEIGHTS, weight_rate=(rate[0], rate[1] + 5))
    tail = trained(graph, width, fine, ACCUMULATE)
    return tail.words(tail.tables[0]["buffer"], delta(tail).size, np.int16) / 256 / 32, rate


@pytest.mark.parametrize("width", [8, 16])
def test_random_rounding_is_unbiased(width):
    """The mean of n steps is the exact step: within 4.5 standard errors, each at most 1/2 / sqrt(n)."""
    graph, n = pointwise(), 2000
    step, rate = exact_steps(graph, width, 1.5)
    seeds = np.random.default_rng(5).integers(1, 2**31, n)
    moved = np.mean([delta(trained(graph, width, Train(WEIGHTS, weight_rate=rate), seed=s)) for s in seeds], 0)
    assert np.abs(step).max() > 0.7
    assert np.abs(moved + step).max() <= 4.5 * 0.5 / np.sqrt(n) + 2**-12


def test_every_step_is_one_of_two_neighbours():
    step, rate = exact_steps(pointwise(), 16, 3.0)
    for seed in range(1, 50):
        moved = -delta(trained(pointwise(), 16, Train(WEIGHTS, weight_rate=rate), seed=seed * 7919))
        assert (np.abs(moved - step) < 1 + 2**-12).all()


def test_a_row_goes_as_far_as_its_steps_add_up():
    """Systematic sampling: the sizes of a row's steps, together, are rounded once."""
    step, rate = exact_steps(pointwise(), 16, 0.9)
    for seed in range(1, 50):
        moved = delta(trained(pointwise(), 16, Train(WEIGHTS, weight_rate=rate), seed=seed * 7919))
        rows = (np.abs(v).reshape(6, 5).sum(axis=1) for v in (moved, step))
        assert (np.abs(np.subtract(*rows)) < 1 + 2**-9).all()


def test_the_same_seed_gives_the_same_bits_and_another_others():
    _, rate = exact_steps(pointwise(), 16, 3.0)
    train = Train(WEIGHTS | BIAS, weight_rate=rate, bias_rate=rate)
    runs = [trained(pointwise(), 16, train, seed=seed, steps=5) for seed in (11, 11, 12)]
    assert np.array_equal(runs[0].arena, runs[1].arena) and np.array_equal(runs[0].state, runs[1].state)
    assert not np.array_equal(runs[0].arena, runs[2].arena)


@pytest.mark.parametrize("mode", [SGD, MOMENTUM, APPLY])
@pytest.mark.parametrize("exponent", [40, 300, 20000])
def test_weights_and_biases_saturate(mode, exponent):
    train = Train(WEIGHTS | BIAS, weight_rate=(32767, exponent), bias_rate=(32767, exponent))
    tail = trained(pointwise(), 16, train, mode, steps=9, momentum=200)
    op = tail.model.ops[0]
    w, most = tail.view(op.w), 2**31 - 1 - 5 * 255 * 128
    assert w.min() >= -127 and w.max() <= 127 and (np.abs(w) == 127).mean() > (0.4 if mode == APPLY else 0.8)
    assert np.abs(tail.view(op.b).astype(np.int64)).max() <= most
    assert (np.abs(delta(tail, "b")) > 2**28).any()


def test_accumulating_n_times_and_applying_is_n_steps():
    """Two passes added up, then one that applies: three times the step to nearest, the rest left in the buffer."""
    step, rate = exact_steps(pointwise(), 16, 3.0)
    train = Train(WEIGHTS, weight_rate=rate)
    tail = trained(pointwise(), 16, train, ACCUMULATE, steps=2)
    assert not delta(tail).any()
    tail.state[3] = APPLY
    rng = np.random.default_rng(7)
    random_x(tail, rng)
    tail.backward(rng.integers(-50, 51, tail.model.tensors[tail.model.ops[-1].y].bytes))
    rest = tail.words(tail.tables[0]["buffer"], step.size, np.int16) / 256
    assert np.abs(rest).max() <= 0.5
    assert np.abs(-delta(tail) + rest - 3 * step).max() <= 3 / 256 + 2**-11


def test_momentum_sums_past_steps():
    """Of one gradient n times: v = step * (1 - m^n) / (1 - m); weights move by the sum of all v. m = 1/2."""
    step, rate = exact_steps(pointwise(), 16, 3.0)
    tail = trained(pointwise(), 16, Train(WEIGHTS, weight_rate=rate), MOMENTUM, momentum=128, steps=1)
    rng = np.random.default_rng(7)
    random_x(tail, rng)
    dy = rng.integers(-50, 51, tail.model.tensors[tail.model.ops[-1].y].bytes)
    for _ in range(5):
        tail.backward(dy)
    v = tail.words(tail.tables[0]["buffer"], step.size, np.int16) / 256
    assert np.abs(v - step * (1 - 0.5**6) / 0.5).max() <= 6 * 2 / 256
    total = sum(step * (1 - 0.5**n) / 0.5 for n in range(1, 7))
    assert np.abs(-delta(tail) - total).max() <= 6 + 0.5


SUBSETS = [
    Train(axis=0, first=1, count=2),
    Train(axis=1, first=2, count=3),
    Train(axis=0, channels=[4, 0, 3]),
    Train(axis=1, channels=[5, 1]),
    Train(axis=1, channels=[2]),
]


@pytest.mark.parametrize("code", [ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.FULLY_CONNECTED])
@pytest.mark.parametrize("subset", SUBSETS, ids=str)
@pytest.mark.parametrize("flags", [WEIGHTS, BIAS, WEIGHTS | BIAS])
def test_a_subset_of_channels_is_that_part_of_the_whole(code, subset, flags):
    """Accumulated steps of chosen channels are those of training everything, in the order of the list."""
    maker = Maker(4)
    x = maker.activation((6, 6, 5) if code != ir.FULLY_CONNECTED else (5,))
    if code == ir.FULLY_CONNECTED:
        maker.dense(x, 6)
    else:
        maker.window(code, x, 6 if code == ir.CONV2D else 10, (2, 3), padding=(1, 1, 0, 1))
    reference = ran_like_trained(maker.graph(x), 16)
    rate = {"weight_rate": fitting_rate(reference.dw[0], 100), "bias_rate": fitting_rate(reference.db[0], 1000)}
    whole = trained(maker.graph(x), 16, Train(WEIGHTS | BIAS, **rate), ACCUMULATE)
    train = Train(flags, subset.first, subset.count, subset.channels, subset.axis, **rate)
    part = trained(maker.graph(x), 16, train, ACCUMULATE)
    taps, n_in, n_out = whole.channels(0)
    weights = whole.words(whole.tables[0]["buffer"], taps * n_in * n_out, np.int16).reshape(n_out, taps, n_in)
    biases = whole.words(whole.tables[0]["buffer"] + -(-2 * weights.size // 4) * 4, n_out, np.int32)
    inputs, outputs = part.selected(0)
    expected = weights[np.ix_(outputs, range(taps), inputs)]
    assert np.any(weights) and np.any(biases)
    at = part.tables[0]["buffer"]
    if flags & WEIGHTS:
        found = part.words(at, expected.size, np.int16).reshape(expected.shape)
        # rows are rounded at random by other draws
        assert np.abs(found.astype(int) - expected).max() <= 1
        at += -(-2 * expected.size // 4) * 4
    if flags & BIAS:
        assert np.abs(part.words(at, len(outputs), np.int32) - biases[outputs]).max() <= 1


def test_only_chosen_channels_move():
    for axis, channels in ((0, [4, 0, 3]), (1, [5, 1])):
        train = Train(WEIGHTS | BIAS, axis=axis, channels=channels, weight_rate=(32767, 0), bias_rate=(32767, 0))
        tail = trained(pointwise(), 16, train)
        moved = delta(tail).reshape(6, 5) != 0
        inputs, outputs = tail.selected(0)
        assert moved[np.ix_(outputs, inputs)].mean() > 0.9
        moved[np.ix_(outputs, inputs)] = False
        assert not moved.any()
        assert set(np.flatnonzero(delta(tail, "b"))) <= set(outputs)


@given(SEED, st.floats(1e-6, 1e3))
@settings(deadline=None)
def test_rates(seed, rate):
    """rate / s_w^2 and rate / (s_x s_w)^2, to 2^-11."""
    maker = Maker(seed)
    x = maker.activation((4,))
    maker.dense(x, 7)
    tail = Tail(maker.graph(x), 16)
    mantissa, exponent = np.frexp(rate)
    for kind in (0, 1):
        table = np.zeros((7, 2), np.int16)
        params = np.array([0, kind, int(mantissa * 32767), exponent - 15], np.int32)
        assert tl_grad.rates(params, tail.file, table) == 0
        y = tail.model.tensors[tail.model.ops[0].y].scale
        expected = rate / (scales(tail, 0) * y / (1 if kind else tail.model.tensors[tail.model.ops[0].x].scale)) ** 2
        assert np.allclose(np.ldexp(table[:, 0].astype(float), table[:, 1]), expected, rtol=2**-11)


def records(tail, **changes):
    """The plan's only record, some of its words changed."""
    names = "op flags dy dx dx2 mask scratch scratch_bytes first count list axis weight_rates bias_rates buffer width"
    plan = tail.plan()
    for name, value in changes.items():
        plan[0, names.split().index(name)] = value
    return plan


END = 1 << 30
WRONG = [
    {"op": -1}, {"op": 1}, {"width": 12}, {"scratch_bytes": -4}, {"scratch_bytes": 8}, {"dy": END}, {"dy": 2},
    {"dy": -4}, {"dx": END}, {"dx": -1}, {"mask": END}, {"scratch": END}, {"weight_rates": END}, {"weight_rates": -1},
    {"bias_rates": END}, {"first": 4, "count": 2}, {"first": -1, "count": 1}, {"count": 6}, {"count": -1},
    {"list": END, "count": 1}, {"list": 0, "count": 0}, {"buffer": END}, {"buffer": -1},
]  # fmt: skip


@pytest.mark.parametrize("changes", WRONG, ids=str)
def test_a_record_that_does_not_fit_is_refused(changes):
    train = Train(WEIGHTS | BIAS, axis=0, weight_rate=(1, 0), bias_rate=(1, 0))
    tail = Tail(pointwise(), 16, {0: train}, mode=ACCUMULATE)
    tail.forward(np.zeros(45, np.int8))
    before = tail.arena.copy()
    assert tl_grad.backward(tail.file, tail.arena, tail.places, records(tail, **changes), tail.state) == PLAN
    tail.words(tail.exponents_at, 4, np.int32)[:] = 0
    assert np.array_equal(tail.arena, before)


def test_what_is_written_overlaps_nothing():
    """Each buffer of a record moved onto each other one."""
    train = Train(WEIGHTS | BIAS, axis=0, channels=[1, 3])
    tail = Tail(pointwise(), 16, {0: train}, mode=ACCUMULATE)
    plan = records(tail)[0]
    places = {"dy": 2, "dx": 3, "mask": 5, "scratch": 6, "list": 10, "weight_rates": 12, "bias_rates": 13, "buffer": 14}
    written = {"dy", "dx", "scratch", "buffer"}
    targets = {name: plan[k] for name, k in places.items()}
    targets |= {
        name: tail.places[i] for name, i in zip("xwb", (0, tail.model.ops[0].w, tail.model.ops[0].b), strict=True)
    }
    targets["exponents"] = tail.exponents_at
    for name in places:
        for target, at in targets.items():
            if name != target and (name in written or target in written | {"w", "b", "exponents"}):
                status = tl_grad.backward(tail.file, tail.arena, tail.places, records(tail, **{name: at}), tail.state)
                assert status == PLAN, (name, target)


def test_wrong_arguments_have_a_status():
    tail = Tail(pointwise(), 16, {0: Train(WEIGHTS)})
    plan, state = tail.plan(), tail.state

    def status(places=tail.places, plan=plan, **words):
        changed = state.copy()
        for word, value in words.items():
            changed[int(word[1:])] = value
        return tl_grad.backward(tail.file, tail.arena, places, plan, changed)

    assert status() == 0
    assert status(plan=plan[:, :15].copy()) == PLAN
    assert status(plan=np.vstack([plan, records(tail, op=9)])) == PLAN + 256
    assert status(_1=END) == status(_1=-4) == status(_1=2) == status(_3=4) == status(_3=-1) == status(_4=256) == PARAMS
    assert tl_grad.backward(tail.file, tail.arena, tail.places, plan, state[:7].copy()) == PARAMS
    unmoved = np.full_like(tail.places, -1)
    assert status(places=unmoved) == PLAN, "weights in the file are not trained"
    assert tl_grad.backward(tail.file[:60].copy(), tail.arena, tail.places, plan, state) == 2


# ---- Losses ---------------------------------------------------------------------------------------------------------

ONE = 65536


@st.composite
def heads(draw):
    """(kind, random numbers, n, k, zero)"""
    kind = draw(st.sampled_from(["cosine", "euclidean"]))
    return kind, draw(SEED), draw(st.integers(1, 150)), draw(st.integers(1, 20)), draw(st.sampled_from([-128, -9, 30]))


@settings(deadline=None)
@given(heads(), WIDTH)
def test_prototype_losses(head, width):
    """Softmax cross-entropy of a head's logits, and its gradient to the features, against autograd.

    The kernel's p - y are off by 2^-13 each, w is exact here, so |error| <= 2^-13 * sum_k |dlogit_k / dx| for each
    feature, the projection off the feature vector (cosine) as much again, and one unit of dx.
    """
    kind, seed, n, k, zero = head
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, n).astype(np.int8)
    w, b = rng.integers(-10000 // int(np.sqrt(n)), 10000 // int(np.sqrt(n)) + 1, (k, n)), rng.integers(-ONE, ONE, k)
    mult, shift = (0, 0) if kind == "cosine" else (int(rng.integers(20000, 65536)), int(rng.integers(16, 20)))
    label = int(rng.integers(k))
    params = np.array([n, k, zero, mult, shift, label], np.int32)
    dx, state = np.zeros(n, np.int8 if width == 8 else np.int16), np.zeros(8, np.int32)
    w, b, scratch = w.astype(np.int16), b.astype(np.int32), np.zeros(n + 2 * k, np.int32)
    assert tl_grad.head_loss(params, x, w, b, dx, state, scratch) == 0
    real = torch.tensor(x.astype(np.float64) - zero, requires_grad=True)
    rows = torch.tensor(w.astype(np.float64))
    if kind == "cosine":
        rows = rows / 1024
        logits = rows @ (real / real.norm().clamp(min=1e-9))
    else:
        rows = rows * mult * 2.0 ** (-shift - 16)
        logits = rows @ real
    logits = logits + torch.tensor(b / ONE)
    loss = torch.nn.functional.cross_entropy(logits[None], torch.tensor([label]))
    loss.backward()
    length = max(float(real.detach().norm()), 1e-9)
    each = np.abs(rows.numpy()).sum(0) / (length if kind == "cosine" else 1)
    if kind == "cosine":
        unit = np.abs(real.detach().numpy()) / length
        each = each + unit * np.linalg.norm(rows.numpy(), axis=1).sum() / length
    found = np.ldexp(dx.astype(np.float64), state[2])
    expected = real.grad.numpy() if x.any() or zero else np.zeros(n)
    size = np.abs(expected)
    if np.any(real.detach().numpy()):
        assert (np.abs(found - expected) <= 2**-12 * each + 2**-10 * size + 2.0 ** state[2]).all()
    else:
        assert kind != "cosine" or not dx.any()
    assert abs(state[5] / ONE - loss.item()) <= 2**-9 + 2**-12 * float(logits.detach().abs().max())
    assert logits.detach().numpy()[state[6]] >= logits.detach().max() - 2**-8


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 60), st.floats(0.001, 0.5))
def test_softmax_loss(seed, width, n, scale):
    """Of the model's own logits: p - y off by 2^-13, in the logits' unit, and one unit of dx."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, n).astype(np.int8)
    mantissa, exponent = np.frexp(scale)
    zero, label = int(rng.integers(-128, 128)), int(rng.integers(n))
    params = np.array([zero, int(mantissa * 32767), 15 - exponent, label], np.int32)
    dx, state = np.zeros(n, np.int8 if width == 8 else np.int16), np.zeros(8, np.int32)
    assert tl_channels.softmax_loss(params, x, dx, state, np.zeros(2 * n, np.int32)) == 0
    real = torch.tensor(x.astype(np.float64), requires_grad=True)
    logits = (real - zero) * (params[1] * 2.0 ** -params[2])
    loss = torch.nn.functional.cross_entropy(logits[None], torch.tensor([label]))
    loss.backward()
    found = np.ldexp(dx.astype(np.float64), state[2])
    assert (np.abs(found - real.grad.numpy()) <= 2**-13 * scale + 2.0 ** state[2]).all()
    assert abs(state[5] / ONE - loss.item()) <= 2**-10
    assert x[state[6]] == x.max()


def test_losses_refuse_what_does_not_fit():
    x, w, b = np.zeros(6, np.int8), np.zeros((3, 6), np.int16), np.zeros(3, np.int32)
    dx, state, scratch = np.zeros(6, np.int8), np.zeros(8, np.int32), np.zeros(12, np.int32)
    good = [np.array([6, 3, 0, 0, 0, 1], np.int32), x, w, b, dx, state, scratch]
    assert tl_grad.head_loss(*good) == 0
    for i in range(1, 7):
        assert tl_grad.head_loss(*good[:i], good[i].reshape(-1)[:-1].copy(), *good[i + 1 :]) == 52 + 256 * (i - 1)
    for label in (-1, 3):
        assert tl_grad.head_loss(np.array([6, 3, 0, 0, 0, label], np.int32), *good[1:]) == LABEL
    assert tl_grad.head_loss(np.array([6, 3, 0, 0, 0], np.int32), *good[1:]) == PARAMS
    good = [np.array([0, 16384, 15, 1], np.int32), x, dx, state, scratch]
    assert tl_channels.softmax_loss(*good) == 0
    for i in range(2, 5):
        assert tl_channels.softmax_loss(*good[:i], good[i][:-1].copy(), *good[i + 1 :]) == 52 + 256 * (i - 1)
    for wrong in ([0, 0, 15, 1], [200, 1, 15, 1], [0, 1, 41, 1], [0, 40000, 15, 1]):
        assert tl_channels.softmax_loss(np.array(wrong, np.int32), *good[1:]) == PARAMS
    assert tl_channels.softmax_loss(np.array([0, 1, 15, 6], np.int32), *good[1:]) == LABEL


# ---- A whole network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "most"), [(8, 0.12), (16, 0.002)])
@pytest.mark.parametrize("rounds_once", [False, True])
@pytest.mark.parametrize("seed", [0, 2, 3, 4, 5])
def test_a_network(seed, rounds_once, width, most):
    """All gradients of a network of 13 operators, |error|_2 / |gradient|_2: each operator rounds to 2^-b of its largest
    value, b of 6 .. 7 or 13 .. 15, some ten times in a row."""
    graph = network(seed)
    graph.rounds_once = rounds_once
    ops = weighted(graph)
    train = {i: Train(WEIGHTS | BIAS) for i in ops}
    dry = Tail(graph, width, train)
    rng = np.random.default_rng(seed)
    dry.forward(random_x(dry, rng))
    dy = rng.integers(-127, 128, 6)
    reference = Reference(dry, dy)
    rates = {i: (fitting_rate(reference.dw[i], 100), fitting_rate(reference.db[i], 2.0**20)) for i in ops}
    train = {i: Train(WEIGHTS | BIAS, weight_rate=of_w, bias_rate=of_b) for i, (of_w, of_b) in rates.items()}
    tail = Tail(graph, width, train, mode=ACCUMULATE)
    rng = np.random.default_rng(seed)
    tail.forward(random_x(tail, rng))
    tail.backward(dy)
    errors = {f"dx {tail.model.input}": far(tail.real(tail.model.input), reference.dx[tail.model.input])}
    for i in ops:
        op, dw, db = tail.model.ops[i], reference.dw[i], reference.db[i]
        at = tail.tables[i]["buffer"]
        found = tail.words(at, dw.size, np.int16) / 256 / scale_of(train[i].weight_rate)
        if op.name == ir.DEPTHWISE_CONV2D:
            found = found.reshape(dw.shape[3], -1).T
        errors[f"dw {i}"] = far(found.reshape(dw.shape), dw)
        biases = tail.words(at + -(-2 * dw.size // 4) * 4, db.size, np.int32) / scale_of(train[i].bias_rate)
        errors[f"db {i}"] = far(biases, db)
    assert max(errors.values()) <= most, errors
    assert len(errors) == 13


def weighted(graph) -> list[int]:
    return [i for i, op in enumerate(graph.ops) if op.code in ir.WEIGHTED]


def scale_of(rate):
    return rate[0] * 2.0 ** rate[1]


def far(found, real) -> float:
    return float(np.linalg.norm(found - real) / np.linalg.norm(real))
