"""Float ONNX -> quantised -> graph -> .tlm -> simulator, against ONNX Runtime on the same quantised file."""

import types
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_builder import Net
from onnxruntime import quantization as ort
from tinylearn_host import ir, quantizing, tlm
from tinylearn_host.errors import BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError
from tinylearn_host.importers import onnx_qdq
from tinylearn_host.simulator import Simulator


def quantised(net: Net, output: tuple[int, ...], folder: Path) -> tuple[Path, np.ndarray]:
    """The QDQ file of `net` and the samples [N, H, W, C] that calibrated it."""
    shape = (*net.shape[1:], net.shape[0])
    samples = np.random.default_rng(5).uniform(-1, 2, (40, *shape)).astype(np.float32)
    net.save(folder / "float.onnx", output)
    quantizing.quantize(folder / "float.onnx", samples, method="min-max").save(folder / "qdq.onnx")
    return folder / "qdq.onnx", samples


def runtime(path: Path, samples: np.ndarray) -> np.ndarray:
    """ONNX Runtime's own answers, every node as written: [N, ...] reals, channels last."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    first = np.moveaxis(samples, -1, 1)
    answers = np.concatenate([session.run(None, {"x": x[None]})[0] for x in first])
    return np.moveaxis(answers, 1, -1)


def steps_apart(path: Path, samples: np.ndarray) -> int:
    """The largest difference between the simulator's answers and ONNX Runtime's, in steps of the output's scale."""
    graph = onnx_qdq.load(path)
    simulator = Simulator(tlm.build(graph))
    x, y = graph.tensors[graph.input], graph.tensors[graph.output]
    q = np.clip(np.rint(samples / np.float32(x.scale)) + x.zero_point, -128, 127).astype(np.int8)
    ours = simulator.run_batch(q).astype(int).reshape(len(samples), -1)
    theirs = np.rint(runtime(path, samples) / np.float32(y.scale)).astype(int).reshape(ours.shape) + y.zero_point
    return int(np.abs(ours - theirs).max())


@st.composite
def single_layers(draw):
    """(net, output shape): one weighted layer with its activation, of a random shape."""
    channels, side = draw(st.integers(1, 6)), draw(st.integers(4, 9))
    net = Net((channels, side, side), draw(st.integers(0, 2**16)))
    kernel, stride, pad = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    depthwise = draw(st.sampled_from([0, 0, 1, 2]))
    net.conv(draw(st.integers(1, 9)), kernel, stride, min(pad, kernel - 1), depthwise, bias=draw(st.booleans()))
    {"none": lambda: net, "relu": net.relu, "relu6": net.relu6}[draw(st.sampled_from(["none", "relu", "relu6"]))]()
    out = (side + 2 * min(pad, kernel - 1) - kernel) // stride + 1
    return net, (net.channels, out, out)


@settings(max_examples=25, deadline=None)
@given(single_layers())
def test_one_layer_is_within_a_step_of_onnx_runtime(tmp_path_factory, layer):
    path, samples = quantised(*layer, tmp_path_factory.mktemp("layer"))
    assert steps_apart(path, samples) <= 1


def test_a_separable_network_is_within_a_step_of_onnx_runtime(tmp_path):
    net = Net((1, 12, 12), seed=3).conv(8, 3, 2, 1).relu().conv(0, 3, 1, 1, depthwise=1).relu().conv(16, 1).mean()
    path, samples = quantised(net, (16,), tmp_path)
    graph = onnx_qdq.load(path)
    assert [op.code for op in graph.ops] == [ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.CONV2D, ir.MEAN]
    assert steps_apart(path, samples) <= 1


def test_relu_is_the_clamp_of_its_layer(tmp_path):
    path, _ = quantised(Net((2, 6, 6)).conv(4).relu(), (4, 4, 4), tmp_path)
    graph = onnx_qdq.load(path)
    (op,) = graph.ops
    output = graph.tensors[op.output]
    assert output.zero_point == -128 and op.attrs["clamp"] == (-128, 127)
    assert graph.tensors[op.weights].data.min() >= -127


def test_dense_after_a_flatten_reads_channels_last(tmp_path):
    net = Net((3, 6, 6), seed=8).conv(5, 3, 2).relu().node("Flatten").dense(20, 7)
    path, samples = quantised(net, (7,), tmp_path)
    assert [op.code for op in onnx_qdq.load(path).ops] == [ir.CONV2D, ir.RESHAPE, ir.FULLY_CONNECTED]
    assert steps_apart(path, samples) <= 1


def test_residual_addition_and_pools(tmp_path):
    net = Net((2, 8, 8), seed=4).conv(4, 3, 1, 1).relu()
    skip = net.last
    net.conv(4, 3, 1, 1).node("Add", skip).relu().node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    net.node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1])
    path, samples = quantised(net, (4, 2, 2), tmp_path)
    assert [op.code for op in onnx_qdq.load(path).ops] == [ir.CONV2D, ir.CONV2D, ir.ADD, ir.MAX_POOL, ir.AVG_POOL]
    assert steps_apart(path, samples) <= 1


def test_batch_normalisation_is_folded(tmp_path):
    net = Net((2, 6, 6), seed=2).conv(4, bias=False)
    vectors = [net.constant(np.abs(net.normal(4)) + 0.5) for _ in range(4)]
    net.node("BatchNormalization", *vectors).relu()
    path, samples = quantised(net, (4, 4, 4), tmp_path)
    assert [op.code for op in onnx_qdq.load(path).ops] == [ir.CONV2D]
    assert steps_apart(path, samples) <= 1


def test_matmul_and_its_bias_are_one_dense_layer(tmp_path):
    net = Net((9,), seed=6)
    net.node("MatMul", net.constant(net.normal(9, 5))).node("Add", net.constant(net.normal(5))).relu()
    path, samples = quantised(net, (5,), tmp_path)
    (op,) = onnx_qdq.load(path).ops
    assert op.code == ir.FULLY_CONNECTED and op.bias
    assert steps_apart(path, samples) <= 1


def test_padding_of_its_own(tmp_path):
    net = Net((2, 5, 5), seed=7)
    amounts, value = np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.array(0.5, np.float32)
    net.node("Pad", net.constant(amounts), net.constant(value)).conv(3)
    path, samples = quantised(net, (3, 4, 6), tmp_path)
    assert [op.code for op in onnx_qdq.load(path).ops] == [ir.PAD, ir.CONV2D]
    assert steps_apart(path, samples) <= 1


def test_convolution_over_time_is_a_row_of_pixels(tmp_path):
    net = Net((3, 20), seed=9)
    net.node("Conv", net.constant(net.normal(6, 3, 5)), net.constant(net.normal(6)), strides=[2], pads=[2, 2]).relu()
    path, samples = quantised(net, (6, 10), tmp_path)
    graph = onnx_qdq.load(path)
    assert graph.tensors[graph.input].shape == (1, 20, 3) and graph.tensors[graph.output].shape == (1, 10, 6)
    assert steps_apart(path, samples) <= 1


def quantised_by_hand(net: Net, output: tuple[int, ...], folder: Path, **options) -> tuple[Path, np.ndarray]:
    """The same straight from ONNX Runtime's quantiser, as others use it."""
    shape = (*net.shape[1:], net.shape[0])
    samples = np.random.default_rng(0).random((20, *shape), np.float32)
    net.save(folder / "float.onnx", output)
    feeds = iter({"x": np.moveaxis(x, -1, 0)[None]} for x in samples)
    reader = types.SimpleNamespace(get_next=lambda: next(feeds, None))
    ort.quantize_static(folder / "float.onnx", folder / "qdq.onnx", reader, **options)
    return folder / "qdq.onnx", samples


def test_uint8_activations_are_int8_moved_by_128(tmp_path):
    net = Net((2, 6, 6), seed=1).conv(4).relu()
    path, samples = quantised_by_hand(net, (4, 4, 4), tmp_path, activation_type=ort.QuantType.QUInt8)
    assert steps_apart(path, samples) <= 1


def refused(path: Path, exit_code: int, *words: str) -> None:
    with pytest.raises(TinylearnError) as caught:
        onnx_qdq.load(path)
    assert caught.value.exit_code == exit_code
    assert all(word in str(caught.value) for word in (path.name, *words)), str(caught.value)


def test_a_float_model_is_refused_with_what_to_do(tmp_path):
    Net((1, 6, 6)).conv(4).save(tmp_path / "float.onnx", (4, 4, 4))
    refused(tmp_path / "float.onnx", BAD_MODEL, "node 0", "tinylearn quantize")


def test_an_unsupported_operator_is_named_with_its_place(tmp_path):
    Net((2, 6, 6)).node("Sigmoid").save(tmp_path / "sigmoid.onnx", (2, 6, 6))
    refused(tmp_path / "sigmoid.onnx", UNSUPPORTED_OPERATOR, 'Sigmoid "sigmoid0"', "train again with ReLU")


def test_grouped_convolution_is_refused(tmp_path):
    net = Net((4, 6, 6))
    net.node("Conv", net.constant(net.normal(6, 2, 3, 3)), group=2, kernel_shape=[3, 3])
    path, _ = quantised_by_hand(net, (6, 4, 4), tmp_path)
    refused(path, UNSUPPORTED_OPERATOR, "convolution in 2 groups")


def test_values_of_no_type_are_refused(tmp_path):
    path, _ = quantised(Net((1, 6, 6)).conv(4).relu(), (4, 4, 4), tmp_path)
    model = onnx.load(path)
    model.graph.initializer[0].data_type = 29
    onnx.save(model, path)
    refused(path, BAD_MODEL, model.graph.initializer[0].name)


@pytest.mark.parametrize("length", [0, 1, 100, 700])
def test_a_cut_file_is_refused(tmp_path, length):
    path, _ = quantised(Net((1, 6, 6)).conv(4).relu(), (4, 4, 4), tmp_path)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:length])
    refused(cut, BAD_MODEL)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_never_a_crash(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    original = folder / "damage.onnx"
    if not original.exists():
        path, _ = quantised(Net((1, 6, 6)).conv(4).relu().mean(), (4,), tmp_path_factory.mktemp("damage"))
        original.write_bytes(path.read_bytes())
    raw = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = folder / "damaged.onnx"
    damaged.write_bytes(raw)
    try:
        tlm.build(onnx_qdq.load(damaged))
    except TinylearnError as error:
        assert error.exit_code in (BAD_MODEL, UNSUPPORTED_OPERATOR)
