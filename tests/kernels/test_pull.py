"""Feature maps pulled towards what they were (LightCL), against autograd in float64; channels' activity and maps."""

from __future__ import annotations

import numpy as np
import pytest
from graphs_backward import Maker, network
from hypothesis import given, settings
from hypothesis import strategies as st
from tail import ACCUMULATE, INPUT, PULL, WEIGHTS, Pull, Reference, Tail, Train
from test_gradients import PLAN, SEED, WIDTH, fitting_rate, random_dy, random_x
from tinylearn_host import ir, simulator

simulator.on_path()
import tl_channels  # noqa: E402

PARAMS, BUFFER = 51, 52


def random_pull(rng, positions: int, channels: int, exponents=(-30, 10)) -> Pull:
    chosen = None if rng.random() < 0.3 else sorted(rng.permutation(channels)[: rng.integers(1, channels + 1)].tolist())
    reference = rng.integers(-128, 128, (positions, channels if chosen is None else len(chosen))).astype(np.int8)
    return Pull(reference, (int(rng.integers(1, 32768)), int(rng.integers(*exponents))), chosen)


@settings(deadline=None)
@given(SEED, WIDTH, st.tuples(*[st.integers(1, 5)] * 3))
def test_a_pull_is_added_to_the_gradient(seed, width, shape):
    """Of a reshape's output, whose gradient then is that of its input."""
    rng = np.random.default_rng(seed)
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.op(ir.RESHAPE, [x], shape)
    tail = Tail(maker.graph(x), width, pulls={0: random_pull(rng, shape[0] * shape[1], shape[2])})
    tail.forward(random_x(tail, rng))
    dy, exponent = random_dy(tail, rng), int(rng.integers(-20, 20))
    reference = Reference(tail, dy, exponent)
    tail.backward(dy, exponent)
    x, y = tail.model.input, tail.model.ops[0].y
    pulled = reference.dx[y]
    most = np.abs(pulled - np.ldexp(dy.astype(np.float64), exponent).reshape(pulled.shape)).max()
    size = max(most, 2.0**exponent * np.abs(dy).max(), np.abs(pulled).max())
    unit = max(2.0 ** tail.exponent(x), 2.0 ** tail.exponent(y))
    assert (np.abs(tail.real(x) - reference.dx[x]) <= 3 * unit + 2**-28 * size).all()
    assert unit <= max(4 * size / 2 ** (width - 1), 2.0 ** (tail.pulls[0].weight[1]), 2.0**exponent)


@pytest.mark.parametrize(("width", "most"), [(16, 0.01), (8, 0.2)])
def test_maps_of_a_network_are_pulled(width, most):
    """A residual's sum, a depthwise convolution and the features, at once."""
    graph = network(11)
    plain = Tail(graph, width)
    rng = np.random.default_rng(8)
    pulls = {}
    for i in (1, 3, len(graph.ops) - 1):
        shape = plain.model.tensors[plain.model.ops[i].y].shape
        pulls[i] = random_pull(rng, shape[1] * shape[2], shape[3], (-18, -14))
    tail = Tail(graph, width, pulls=pulls)
    x = random_x(tail, rng)
    dy = rng.integers(-100, 101, tail.model.tensors[tail.model.ops[-1].y].bytes)
    for t in (tail, plain):
        t.forward(x)
    reference, without = Reference(tail, dy, -3), Reference(plain, dy, -3)
    tail.backward(dy, -3)
    dx = reference.dx[tail.model.input]
    assert np.linalg.norm(dx - without.dx[tail.model.input]) > 0.2 * np.linalg.norm(dx)
    assert np.linalg.norm(tail.real(tail.model.input) - dx) < most * np.linalg.norm(dx)


@pytest.mark.parametrize(("width", "most"), [(16, 0.01), (8, 0.15)])
@pytest.mark.parametrize("channels", [None, [0, 2, 5]], ids=["all channels", "a mask"])
def test_weights_step_by_loss_and_pull_together(width, most, channels):
    """Of a convolution whose own map is pulled, and of one before it: float64's gradients of both."""
    maker = Maker(5)
    x = maker.activation((4, 4, 3))
    y = maker.window(ir.CONV2D, x, 6, (3, 3))
    maker.window(ir.CONV2D, y, 6, (1, 1))
    reference = maker.rng.integers(-128, 128, (4, 6 if channels is None else len(channels))).astype(np.int8)
    pulls = {1: Pull(reference, (20000, -14), channels)}

    def forward(train, pulls):
        rng = np.random.default_rng(6)
        tail = Tail(maker.graph(x), width, train, mode=ACCUMULATE, pulls=pulls)
        tail.forward(random_x(tail, rng))
        return tail, rng.integers(-100, 101, tail.model.tensors[tail.model.ops[-1].y].bytes)

    exact, alone = (Reference(*forward({}, pulled)).dw for pulled in (pulls, {}))
    rates = {i: fitting_rate(exact[i], 100) for i in exact}
    tail, dy = forward({i: Train(WEIGHTS, weight_rate=rate) for i, rate in rates.items()}, pulls)
    tail.backward(dy)
    for i, (mantissa, exponent) in rates.items():
        found = tail.words(tail.tables[i]["buffer"], exact[i].size, np.int16).reshape(exact[i].shape) / 256
        step = np.ldexp(exact[i] * mantissa, exponent)
        assert np.linalg.norm(exact[i] - alone[i]) > 0.2 * np.linalg.norm(exact[i])
        assert np.linalg.norm(found - step) < most * np.linalg.norm(step)


def test_nothing_pulls_where_nothing_has_moved():
    graph = network(11)
    rng = np.random.default_rng(9)
    before = Tail(graph, 16)
    x = random_x(before, rng)
    before.forward(x)
    pulls = {1: Pull(before.view(before.model.ops[1].y).copy(), (32000, 5))}
    tail = Tail(graph, 16, pulls=pulls)
    dy = rng.integers(-100, 101, tail.model.tensors[tail.model.ops[-1].y].bytes)
    for t in (before, tail):
        t.forward(x)
        t.backward(dy)
    i = before.model.input
    assert np.linalg.norm(before.real(i) - tail.real(i)) <= 2**-12 * np.linalg.norm(before.real(i))


def test_what_does_not_fit_is_refused():
    maker = Maker(2)
    x = maker.activation((3, 3, 6))
    maker.window(ir.CONV2D, x, 5, (1, 1))
    pull = Pull(np.zeros((9, 2), np.int8), (100, -3), [4, 1])
    tail = Tail(maker.graph(x), 16, pulls={0: pull})
    tail.forward(random_x(tail, maker.rng))
    names = {"flags": 1, "dy": 2, "first": 8, "count": 9, "list": 10, "weight": 12, "reference": 14, "width": 15}
    size, dy = len(tail.arena), tail.gradient_at[tail.model.ops[0].y]

    def status(**changes):
        plan = tail.plan()
        for name, value in changes.items():
            plan[0, names[name]] = value
        return tl_channels.backward(tail.file, tail.arena, tail.places, plan, tail.state)

    assert status() == 0
    assert status(list=-1, first=3, count=2) == 0
    for changes in (
        {"flags": PULL | INPUT}, {"dy": -4}, {"dy": size}, {"list": -1, "first": 4}, {"count": 6}, {"count": -1},
        {"list": size}, {"weight": size}, {"weight": -1}, {"reference": size - 4}, {"reference": -1},
        {"reference": dy}, {"weight": dy}, {"list": dy}, {"reference": 2}, {"width": 12},
        {"reference": int(tail.exponents_at) - 4}, {"dy": int(tail.places[tail.model.ops[0].y])},
    ):  # fmt: skip
        assert status(**changes) == PLAN, changes
    tail.words(tail.pulls_at[0][1], 2, np.int16)[:] = 4, 5
    assert status() == PLAN


# ---- Which channels, and their maps ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(SEED, st.integers(1, 30), st.integers(1, 20), st.integers(-128, 127))
def test_activity_and_maps(seed, positions, channels, zero):
    rng = np.random.default_rng(seed)
    y = rng.integers(-128, 128, (positions, channels)).astype(np.int8)
    sums = rng.integers(0, 1000, channels).astype(np.int32)
    expected = sums + np.abs(y.astype(int) - zero).sum(0)
    assert tl_channels.activity(np.array([channels, zero], np.int32), y, sums) == 0
    assert np.array_equal(sums, expected)
    on = rng.permutation(channels)[: rng.integers(0, channels + 1)].astype(np.int16)
    reference = np.full((positions, len(on)), 99, np.int8)
    assert tl_channels.channel_maps(np.array([channels], np.int32), y, on, reference) == 0
    assert np.array_equal(reference, y[:, on])


def test_wrong_buffers_have_a_status():
    y, sums = np.zeros((6, 4), np.int8), np.zeros(4, np.int32)
    on, reference = np.zeros(2, np.int16), np.zeros((6, 2), np.int8)
    two, one = np.array([4, -3], np.int32), np.array([4], np.int32)
    assert tl_channels.activity(two, y, sums) == 0 and tl_channels.channel_maps(one, y, on, reference) == 0
    for bad in (one, np.array([0, 0], np.int32), np.array([5, 0], np.int32), np.array([4, 128], np.int32)):
        assert tl_channels.activity(bad, y, sums) == PARAMS
    for bad in (two, np.array([-4], np.int32), np.array([7], np.int32)):
        assert tl_channels.channel_maps(bad, y, on, reference) == PARAMS
    assert tl_channels.activity(two, y, sums[1:]) == BUFFER + 256
    assert tl_channels.activity(two, y, np.zeros(17, np.int8)[1:]) == BUFFER + 256
    assert tl_channels.channel_maps(one, y, np.array([0, 4], np.int16), reference) == BUFFER + 256
    assert tl_channels.channel_maps(one, y, np.array([-1, 3], np.int16), reference) == BUFFER + 256
    assert tl_channels.channel_maps(one, y, np.zeros(3, np.int8), reference) == BUFFER + 256
    assert tl_channels.channel_maps(one, y, on, reference[1:]) == BUFFER + 512
