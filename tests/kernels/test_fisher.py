"""Fisher information of channels against float64: sums over samples of (sum over positions of a * dL/da)^2.

The kernel squares the integer gradient that lies in the arena to within 2^-13; that gradient itself is within the
bounds of test_gradients.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from graphs_backward import Maker, network
from hypothesis import given, settings
from hypothesis import strategies as st
from tail import BIAS, FISHER, INPUT, WEIGHTS, Reference, Tail, Train
from test_gradients import PLAN, SEED, WIDTH, convolution, pushed, random_dy, random_x, sum_error
from tinylearn_host import ir, simulator

simulator.on_path()
import tl_grad  # noqa: E402


def values(tail: Tail, tensor: int) -> np.ndarray:
    """x - zero of an activation, float64 in its shape."""
    t = tail.model.tensors[tensor]
    return tail.view(tensor).astype(np.float64).reshape(t.shape) - t.zero_point


def squares(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """[channels]"""
    return (a * g).sum((0, 1, 2)) ** 2


def check_single(graph, width, seed, samples):
    """Both axes of a graph's only operator, over samples whose gradients are of very different sizes."""
    for axis in (0, 1):
        tail = Tail(graph, width, fisher={0: axis})
        rng = np.random.default_rng(seed)
        op, exact, low, high = tail.model.ops[0], 0, 0, 0
        for _ in range(samples):
            tail.forward(random_x(tail, rng))
            dy, exponent = random_dy(tail, rng), int(rng.integers(-40, 41))
            reference = Reference(tail, dy, exponent)
            real = np.ldexp(dy.astype(np.float64), exponent).reshape(tail.model.tensors[op.y].shape)
            tail.backward(dy, exponent)
            a = values(tail, op.y if axis else op.x)
            found = real if axis else tail.real(op.x)
            exact = exact + squares(a, found)
            true = (a * (real if axis else reference.dx[op.x])).sum((0, 1, 2))
            error = 0
            if not axis:
                of_g, _ = sum_error(tail, reference, 0)
                error = (np.abs(a) * (pushed(tail, 0, of_g) + 2.0 ** tail.exponent(op.x))).sum((0, 1, 2))
            low = low + np.maximum(np.abs(true) - error, 0) ** 2
            high = high + (np.abs(true) + error) ** 2
        information = tail.information(0)
        assert (np.abs(information - exact) <= 2**-13 * exact).all()
        assert (information >= low * (1 - 2**-13)).all() and (information <= high * (1 + 2**-13)).all()


@settings(deadline=None)
@given(SEED, WIDTH, convolution(), st.integers(1, 4))
def test_convolutions(seed, width, window, samples):
    code, shape, channels, attrs = window
    maker = Maker(seed)
    x = maker.activation(shape)
    maker.window(code, x, channels, **attrs)
    check_single(maker.graph(x), width, seed, samples)


@settings(deadline=None)
@given(SEED, WIDTH, st.integers(1, 50), st.integers(1, 12), st.integers(1, 20))
def test_dense(seed, width, n_in, n_out, samples):
    maker = Maker(seed)
    x = maker.activation((n_in,))
    maker.dense(x, n_out)
    check_single(maker.graph(x), width, seed, samples)


@pytest.mark.parametrize(("width", "most"), [(16, 0.005), (8, 0.25)])
@pytest.mark.parametrize("axis", [0, 1])
def test_layers_of_a_network_can_be_compared(axis, width, most):
    """The Fisher potential of every layer, its scales and exponents in it, after six samples."""
    graph = network(11)
    layers = [i for i, op in enumerate(graph.ops) if op.code in ir.WEIGHTED]
    tail = Tail(graph, width, fisher=dict.fromkeys(layers, axis))
    rng, expected = np.random.default_rng(4), dict.fromkeys(layers, 0)
    for _ in range(6):
        tail.forward(random_x(tail, rng))
        dy = rng.integers(-100, 101, tail.model.tensors[tail.model.ops[-1].y].bytes)
        reference = Reference(tail, dy, 3)
        tail.backward(dy, 3)
        for i in layers:
            tensor = tail.model.ops[i].y if axis else tail.model.ops[i].x
            expected[i] = expected[i] + squares(values(tail, tensor), reference.dx[tensor])
    for i in layers:
        error = np.linalg.norm(tail.information(i) - expected[i]) / np.linalg.norm(expected[i])
        assert error < most, (i, error)
    assert max(e.sum() for e in expected.values()) > 8 * min(e.sum() for e in expected.values())


def test_x_has_what_all_its_readers_want():
    """y = conv(x) + x: the convolution's record comes last, when the add has left its part."""
    maker = Maker(5)
    x = maker.activation((4, 4, 3))
    maker.add(maker.window(ir.CONV2D, x, 3, (1, 1)), x)
    tail = Tail(maker.graph(x), 16, fisher={0: 0})
    tail.forward(random_x(tail, maker.rng))
    dy = random_dy(tail, maker.rng)
    reference = Reference(tail, dy)
    tail.backward(dy)
    expected = squares(values(tail, 0), reference.dx[tail.model.input])
    assert np.allclose(tail.information(0), expected, rtol=0.01)


def test_what_does_not_fit_is_refused():
    maker = Maker(2)
    x = maker.activation((4, 4, 3))
    y = maker.window(ir.CONV2D, x, 5, (1, 1))
    maker.window(ir.MAX_POOL, y, 5, (2, 2), (2, 2))
    tail = Tail(maker.graph(x), 16, {0: Train(WEIGHTS | BIAS)}, fisher={0: 1})
    tail.forward(random_x(tail, maker.rng))
    good = tail.plan()
    good[1, 1], good[1, 11] = good[1, 1] & ~(WEIGHTS | BIAS), 0

    def status(record, **changes):
        plan = good.copy()
        for field, value in changes.items():
            plan[record, {"flags": 1, "axis": 11, "buffer": 14}[field]] = value
        return tl_grad.backward(tail.file, tail.arena, tail.places, plan, tail.state)

    assert status(1) == 0
    assert status(1, flags=FISHER, axis=1) == 0  # no dx is needed for y
    assert status(1, flags=FISHER) == PLAN + 256  # but for x
    assert status(1, flags=FISHER | INPUT | BIAS) == PLAN + 256
    assert status(1, flags=FISHER | INPUT, buffer=len(tail.arena) - 20) == PLAN + 256
    assert status(1, flags=FISHER | INPUT, buffer=-1) == PLAN + 256
    assert status(1, flags=FISHER | INPUT, buffer=int(tail.gradient_at[tail.model.input])) == PLAN + 256
    assert status(1, flags=FISHER | INPUT, buffer=int(tail.places[tail.model.input])) == PLAN + 256
    assert status(0, flags=FISHER | INPUT, buffer=int(tail.fisher_at[0])) == PLAN  # a pool has no weights
