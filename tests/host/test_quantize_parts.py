"""The parts of `tinylearn quantize` on their own: forms of data, ranges, equalisation, bias correction."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_builder import Net
from tinylearn_host.errors import TinylearnError
from tinylearn_host.quantizing import bias, data, equalise, ranges, steps
from tinylearn_host.quantizing.network import Network, from_model, read
from tinylearn_host.quantizing.observe import BINS, Activation, observe, runner
from tinylearn_host.quantizing.rewrite import rewrite


def network(net: Net, output: tuple[int, ...], folder: Path) -> Network:
    net.save(folder / "net.onnx", output)
    return rewrite(from_model(read(folder / "net.onnx"), "net.onnx", "net")).network


def samples(shape: tuple[int, ...], count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 2, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("given_shape", "shape", "last"),
    [
        ((6, 5, 3), (3, 6, 5), True),
        ((3, 6, 5), (3, 6, 5), True),
        ((6, 5), (1, 6, 5), True),
        ((6, 5, 1), (1, 6, 5), False),
        ((20, 3), (3, 20), True),
        ((3, 20), (3, 20), False),
        ((20,), (1, 20), True),
        ((2, 3), (6,), True),
    ],
)
def test_samples_come_in_every_usual_form(given_shape, shape, last):
    x = np.random.default_rng(1).random((4, *given_shape), np.float32)
    fitted = data.fit(data.Raw(x, None, "x"), shape, last=last).x
    assert fitted.shape == (4, *shape)
    moved = len(given_shape) == len(shape) > 1 and given_shape != shape
    np.testing.assert_array_equal(fitted, np.moveaxis(x, -1, 1) if moved else x.reshape(fitted.shape))


def test_where_both_orders_would_do_the_caller_says_which():
    x = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    raw = data.Raw(x, None, "x")
    np.testing.assert_array_equal(data.fit(raw, (3, 3, 3), last=False).x, x)
    np.testing.assert_array_equal(data.fit(raw, (3, 3, 3), last=True).x, np.moveaxis(x, -1, 1))


def test_a_form_that_fits_no_axis_is_refused():
    with pytest.raises(TinylearnError, match=r"\(7, 5, 3\)"):
        data.fit(data.Raw(np.zeros((2, 7, 5, 3), np.float32), None, "x"), (3, 6, 5))


def activation(values: np.ndarray) -> Activation:
    low, high = values.min(), values.max()
    counts, edges = np.histogram(values, BINS, (low, high))
    return Activation(np.array([low]), np.array([high]), values, counts, edges)


@given(st.integers(0, 2**16), st.sampled_from([99.9, 99.0, 90.0]))
def test_percentiles_are_those_of_the_values(seed, percent):
    values = np.random.default_rng(seed).normal(size=20_000)
    low, high = ranges.percentile(activation(values), percent)
    bin_, cut = 1.01 * (values.max() - values.min()) / BINS, (100 - percent) / 200
    assert np.mean(values < low) <= cut + 1e-9 and cut - 1e-9 <= np.mean(values < low + bin_)
    assert np.mean(values > high) <= cut + 1e-9 and cut - 1e-9 <= np.mean(values > high - 2 * bin_)


@given(st.integers(0, 2**16), st.floats(1, 30))
def test_no_end_nearer_to_zero_has_less_error(seed, outlier):
    """Beside a plain search over the values themselves."""
    random = np.random.default_rng(seed)
    values = np.maximum(np.append(random.normal(size=5_000), outlier), 0)
    found = ranges.least_error(activation(values))

    def error(high: float) -> float:
        scale = high / 255
        return float(np.square(values - scale * np.clip(np.rint(values / scale), 0, 255)).sum())

    assert found[0] == 0
    assert error(found[1]) <= 1.02 * min(error(values.max() * part / 16) for part in range(1, 17))


def unequal(seed: int) -> Net:
    """Two separable blocks, pools, a flatten and dense layers, whose channels are of very different reach."""
    net = Net((2, 10, 10), seed).conv(6, 3, 1, 1).relu().conv(0, 3, 2, 1, depthwise=2).relu().conv(8, 1)
    net.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).relu().conv(4, 2)
    net.node("Flatten").dense(4, 9).relu().dense(9, 3)
    for index, constant in enumerate(net.constants):
        array = onnx.numpy_helper.to_array(constant)
        if array.ndim > 1:
            factors = np.exp(net.random.normal(size=len(array))).reshape(-1, *[1] * (array.ndim - 1))
            net.constants[index] = onnx.numpy_helper.from_array((array * factors).astype(np.float32), constant.name)
    return net


@pytest.mark.parametrize("seed", range(3))
def test_equalisation_changes_no_answer_and_evens_out_channels(tmp_path, seed):
    before = network(unequal(seed), (3,), tmp_path)
    x = samples(before.shape)
    seen = observe(before, x)
    after, count = equalise.equalise(before, seen)
    assert count == 5
    expected, found = (runner(each).outputs(x) for each in (before, after))
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())
    now = observe(after, x)
    first = before.nodes[1].output[0]  # behind it a depthwise layer: all channels reach as far
    alive = seen[first].reach > 0
    assert alive.sum() > 2
    assert np.ptp(np.log(seen[first].reach[alive])) > 0.5 and np.ptp(np.log(now[first].reach[alive])) < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_corrected_biases_keep_the_mean_of_every_output(tmp_path, seed):
    """Coarse weights shift the mean of a padded layer's outputs; its corrected bias does not let them."""
    net = network(Net((3, 7, 7), seed).conv(5, 3, 2, 1).mean().dense(5, 4), (4,), tmp_path)
    x = samples(net.shape)
    layers = [node for node in net.nodes if node.op_type in ("Conv", "Gemm")]
    coarse = {node.name: np.rint(net.constants[node.input[1]] * 6) / 6 for node in layers}
    rounded = net.with_constants({n.input[1]: coarse[n.name].astype(np.float32) for n in layers})
    corrected = bias.correct(rounded, observe(net, x), {})
    assert corrected.constants == rounded.constants
    biases = bias.correct(net, observe(net, x), coarse).constants
    corrected = rounded.with_constants({n.input[2]: biases[n.input[2]] for n in layers})
    means = [runner(each).outputs(x).mean(0) for each in (net, rounded, corrected)]
    assert np.abs(means[1] - means[0]).max() > 0.01
    np.testing.assert_allclose(means[2], means[0], atol=1e-4)


def test_statistics_are_those_of_all_samples(tmp_path):
    net = network(Net((3, 7, 7), 5).conv(5, 3).relu(), (5, 5, 5), tmp_path)
    x = samples(net.shape, 37)
    seen = observe(net, x)[net.output]
    y = runner(net).outputs(x)
    np.testing.assert_allclose(seen.low, y.min((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(seen.high, y.max((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(seen.mean, y.mean(0), atol=1e-5)
    assert seen.counts.sum() == y.size


@given(st.lists(st.floats(1e-3, 4), min_size=1, max_size=3), st.booleans())
def test_raised_ratios_leave_no_sum_near_a_half(ratios, together):
    found = steps.raised(np.array(ratios), together)
    fractions = [Fraction(float(ratio)).limit_denominator(steps.MOST) for ratio in found]
    raised = found != np.array(ratios)
    assert (found >= ratios).all()
    for fraction, ratio, is_raised in zip(fractions, ratios, raised, strict=True):
        assert fraction.denominator % 2 == 1 or not is_raised
        assert float(fraction) <= max(1.01 * ratio, 1 / steps.MOST) * (1 + 1e-9) or not is_raised
    if together and raised.any():  # sums of them, too
        assert np.lcm.reduce([fraction.denominator for fraction in fractions]) <= steps.MOST


def test_every_layer_of_a_network_has_such_ratios(tmp_path):
    net = Net((2, 10, 10), 4).conv(6, 3, 1, 1).relu().conv(0, 3, 1, 1, depthwise=1).relu()
    net.node("Add", net.nodes[1].output[0]).conv(8, 1).relu6().mean().dense(8, 3)
    found = network(net, (3,), tmp_path)
    seen = observe(found, samples(found.shape))
    chosen = steps.choose(found, ranges.choose(seen, "min-max", found.input), {})
    scale = {name: step[0] for name, step in chosen.activations.items()}
    ends = {node.output[0]: node.output[0] for node in found.nodes}
    ends.update({node.input[0]: node.output[0] for node in found.nodes if node.op_type in ("Relu", "Clip")})
    checked = 0
    for node in found.nodes:
        y = scale[ends[node.output[0]]]
        if node.op_type in ("Conv", "Gemm"):
            ratios = scale[ends.get(node.input[0], node.input[0])] * chosen.weights[node.input[1]].astype(float) / y
        elif node.op_type == "Add":
            ratios = np.array([scale[ends[name]] for name in node.input]) / y
        elif node.op_type == "ReduceMean":
            ratios = np.array([scale[ends[node.input[0]]] / np.prod(found.shapes[node.input[0]][2:]) / y])
        else:
            continue
        for ratio in ratios:
            fraction = Fraction(float(ratio)).limit_denominator(steps.MOST)
            assert fraction.denominator % 2 == 1 and abs(float(fraction) / ratio - 1) < 1e-6, node.name
            checked += 1
    assert checked > 6 + 6 + 2 + 8 + 1


def test_equalisation_stays_below_a_relu6(tmp_path):
    """Channels that come to the bound stay as they are, others grow up to it: no answer changes."""
    net = Net((2, 10, 10), 1).conv(6, 3, 1, 1).relu6().conv(0, 3, 1, 1, depthwise=1).relu6().conv(4, 1).mean()
    weights = onnx.numpy_helper.to_array(net.constants[0]) * np.array([9, 0.1, 0.3, 1, 12, 0.2]).reshape(-1, 1, 1, 1)
    net.constants[0] = onnx.numpy_helper.from_array(weights.astype(np.float32), net.constants[0].name)
    before = network(net, (4,), tmp_path)
    x = samples(before.shape)
    seen = observe(before, x)
    after, count = equalise.equalise(before, seen)
    assert count == 2
    np.testing.assert_allclose(runner(after).outputs(x), runner(before).outputs(x), atol=1e-4)
    reach, now = (each[before.nodes[1].output[0]].reach for each in (seen, observe(after, x)))
    assert reach.max() == now.max() == 6 and (now >= reach - 1e-6).all()
    assert reach.min() < 2 and now[reach > 0].min() > 4
