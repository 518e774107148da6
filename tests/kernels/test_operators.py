"""Every operator against LiteRT's reference kernels: the same bits, whatever the shape and the scales."""

import cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

seed = st.integers(0, 2**32 - 1)
int8 = st.integers(-128, 127)
kind = st.sampled_from(["random", "random", "random", "least", "most"])
activation = st.sampled_from(list(cases.ACTIVATIONS))
factor = st.sampled_from([0.05, 0.5, 1.0, 1.0, 3.0, 40.0])


def floats(low: float, high: float) -> st.SearchStrategy:
    return st.floats(float(np.float32(low)), float(np.float32(high)), width=32)


# Round numbers make ties, which random ones never do.
scale = st.one_of(
    floats(0.002, 0.5),
    st.sampled_from([0.5, 0.25, 1 / 128, 3.0, 1.5]),
    st.sampled_from([float(np.float32(s)) for s in (0.1, 0.2, 1 / 3, 0.05, 0.01, 1 / 255)]),
)


@st.composite
def windows(draw, explicit=True, dilated=True):
    """shape, kernel, stride, dilation and a padding that fit together."""
    size = st.integers(1, 9)
    shape = draw(st.tuples(size, size, st.integers(1, 9)))
    padding = draw(st.sampled_from(["SAME", "VALID", "explicit"] if explicit else ["SAME", "VALID"]))
    kernel, dilation = draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), (1, 1)
    if dilated:
        dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    if padding == "VALID":
        kernel = tuple(min(k, (s - 1) // d + 1) for k, s, d in zip(kernel, shape, dilation, strict=False))
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if padding == "explicit":
        padding = tuple(draw(st.integers(0, r)) for r in (*reach, *reach))
        for axis in range(2):  # at least one position
            if shape[axis] + padding[axis] + padding[axis + 2] <= reach[axis]:
                padding = tuple(reach[i % 2] if i % 2 == axis else p for i, p in enumerate(padding))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return {"shape": shape, "kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}


@settings(max_examples=250, deadline=None)
@given(seed, windows(), st.integers(1, 9), activation, int8, int8, factor, kind, st.booleans(), st.booleans())
def test_conv2d(seed, window, channels, activation, x_zero, y_zero, factor, kind, bias, per_channel):
    cases.convolution(
        seed,
        channels=channels,
        activation=activation,
        x_zero=x_zero,
        y_zero=y_zero,
        factor=factor,
        kind=kind,
        bias=bias,
        per_channel=per_channel,
        **window,
    ).check()


@settings(max_examples=250, deadline=None)
@given(seed, windows(), st.integers(1, 3), activation, int8, int8, factor, kind, st.booleans())
def test_depthwise_conv2d(seed, window, multiplier, activation, x_zero, y_zero, factor, kind, bias):
    cases.convolution(
        seed,
        depthwise=True,
        channels=multiplier,
        activation=activation,
        x_zero=x_zero,
        y_zero=y_zero,
        factor=factor,
        kind=kind,
        bias=bias,
        **window,
    ).check()


@settings(max_examples=150, deadline=None)
@given(
    seed,
    st.integers(1, 300),
    st.integers(1, 40),
    activation,
    int8,
    int8,
    factor,
    kind,
    st.booleans(),
    st.booleans(),
)
def test_fully_connected(seed, n_in, n_out, activation, x_zero, y_zero, factor, kind, bias, per_channel):
    cases.fully_connected(
        seed, n_in, n_out, activation, x_zero, y_zero, factor, kind, bias=bias, per_channel=per_channel
    ).check()


@settings(max_examples=60, deadline=None)
@given(seed, scale, scale, scale)
def test_fully_connected_rounds_ties_and_their_neighbours_as_float64(seed, x_scale, w_scale, y_scale):
    """Sums at every half of an output step, and one to each side of it."""
    step = float(x_scale) * float(w_scale) / float(y_scale)
    halves = (np.arange(-129, 129) + 0.5) / step
    sums = (np.round(halves)[:, None] + np.arange(-1, 2)).reshape(-1)
    sums = sums[np.abs(sums) < 2**31 - 2**16].astype(np.int32)
    w = np.zeros((len(sums), 1), np.int8)
    x = np.zeros((1, 1), np.int8)
    cases.dense(x, w, sums, x_scale, np.array([w_scale], np.float32), y_scale).check()


@settings(max_examples=200, deadline=None)
@given(
    seed,
    windows(explicit=False, dilated=False),
    st.sampled_from([cases.AVG_POOL, cases.MAX_POOL]),
    activation,
    int8,
    floats(0.01, 0.5),
    kind,
)
def test_pool(seed, window, code, activation, zero, scale, kind):
    window.pop("dilation")
    cases.pool(seed, code, activation=activation, zero=zero, scale=scale, kind=kind, **window).check()


def test_avg_pool_over_a_large_window():
    cases.pool(1, shape=(60, 61, 2), kernel=(60, 61), stride=(1, 1), kind="least").check()
    cases.pool(2, shape=(60, 61, 2), kernel=(60, 61), stride=(1, 1)).check()
    cases.pool(3, shape=(255, 255, 1), kernel=(255, 255), stride=(1, 1), kind="most").check()


@settings(max_examples=150, deadline=None)
@given(
    seed,
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9)),
    scale,
    st.sampled_from([0.3, 0.5, 1.0, 1.1, 2.0, 1 / 3, 7.0]),
    int8,
    int8,
    st.booleans(),
    kind,
)
def test_mean(seed, shape, x_scale, ratio, x_zero, y_zero, keep, kind):
    y_scale = float(np.float32(x_scale * ratio))
    cases.mean(seed, shape, x_scale, y_scale, x_zero, y_zero, keep, kind).check()


@settings(max_examples=150, deadline=None)
@given(seed, st.integers(1, 200), scale, scale, scale, st.tuples(int8, int8, int8), activation, kind)
def test_add(seed, n, x1_scale, x2_scale, y_scale, zeros, activation, kind):
    cases.add(seed, n, x1_scale, x2_scale, y_scale, zeros, activation, kind).check()


@settings(max_examples=100, deadline=None)
@given(
    seed,
    st.tuples(*[st.integers(1, 5)] * 3),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.one_of(st.none(), int8),
    int8,
)
def test_pad(seed, shape, before, after, value, zero):
    cases.pad(seed, shape, before, after, value, zero).check()


@settings(max_examples=150, deadline=None)
@given(seed, st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE"]), scale, scale, int8, int8)
def test_clamp(seed, name, x_scale, y_scale, x_zero, y_zero):
    cases.clamp(seed, name, 256, x_scale, y_scale, x_zero, y_zero).check()


@settings(max_examples=150, deadline=None)
@given(
    seed,
    st.integers(1, 4),
    st.integers(1, 300),
    st.one_of(scale, floats(1e-4, 40.0)),
    st.sampled_from([1.0, 1.0, 0.5, 2.0, 0.125]),
    st.sampled_from([1, 2, 10, 100, 256]),
)
def test_softmax(seed, rows, n, x_scale, beta, spread):
    cases.softmax(seed, rows, n, x_scale, beta, spread).check()


@pytest.mark.parametrize("rows, n", [(1, 1), (2, 500), (1, 2)])
def test_softmax_of_equals(rows, n):
    cases.softmax(1, rows, n, spread=1).check()


@pytest.mark.parametrize("x_scale", [0.0078125, 0.01, 0.0217, 0.0333, 0.05, 0.0741, 0.1, 0.1234, 0.2, 0.3, 0.75])
def test_softmax_of_every_triple(x_scale):
    """An answer has 8 bits and its computation 31: only this many answers lie close enough to a tie to tell."""
    case = cases.softmax(1, 65536, 3, float(np.float32(x_scale)))
    first, second = np.divmod(np.arange(65536), 256)
    case.xs[0] = np.stack([np.full(65536, 127), 127 - first, 127 - second], axis=1).astype(np.int8)
    case.check()


@given(seed, st.tuples(*[st.integers(1, 6)] * 3))
@settings(max_examples=20, deadline=None)
def test_reshape(seed, shape):
    cases.reshape(seed, shape).check()
