"""The .tflite importer: what it takes answers with LiteRT's bits; what it does not take is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn_host import fuse, ir, simulator, tlm
from tinylearn_host.bench import reference_models
from tinylearn_host.bench.tflite_builder import Builder, reference
from tinylearn_host.errors import BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError
from tinylearn_host.importers import tflite


def load(raw: bytes, tmp_path, name: str = "m.tflite") -> ir.Graph:
    path = tmp_path / name
    path.write_bytes(raw)
    return tflite.load(path)


def refused(raw: bytes, tmp_path, code: int = UNSUPPORTED_OPERATOR) -> str:
    with pytest.raises(TinylearnError) as caught:
        load(raw, tmp_path)
    assert caught.value.exit_code == code
    return str(caught.value)


# ---- the same bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference_models.NAMES)
def test_real_models_have_the_bits_of_litert(name):
    path = reference_models.path(name)
    runner = simulator.Simulator(tlm.build(fuse.pads_into_convolutions(tflite.load(path))))
    model, shape = path.read_bytes(), _batch(runner.model.input_shape(), path)
    inputs = structured(shape, runner.model.tensors[runner.model.input].zero_point)
    inputs += [np.random.default_rng(n).integers(-128, 128, shape).astype(np.int8) for n in range(50)]
    for x, expected in zip(inputs, references(model, inputs), strict=True):
        np.testing.assert_array_equal(runner.run(x).reshape(-1), expected.reshape(-1))


def _batch(shape: tuple[int, ...], path) -> list[int]:
    return [1, *tflite.load(path).tensors[tflite.load(path).input].shape]


def structured(shape, zero_point: int) -> list[np.ndarray]:
    """The constants at the ends and in the middle, a ramp, stripes, one bright value, and coarse noise."""
    count = int(np.prod(shape))
    flat = [np.full(count, value) for value in (-128, 127, 0, zero_point)]
    flat += [
        np.linspace(-128, 127, count),
        np.where(np.arange(count) % 2, 127, -128),
        255 * np.eye(1, count, count // 2) - 128,
    ]
    flat += [np.repeat(np.random.default_rng(9).integers(-128, 128, count // 7 + 1), 7)[:count]]
    return [np.asarray(x).astype(np.int8).reshape(shape) for x in flat]


def references(model: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    x, y = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for values in inputs:
        interpreter.set_tensor(x["index"], values)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(y["index"]).copy())
    return answers


class Net:
    """A random chain of layers with a residual addition here and there."""

    def __init__(self, seed: int, shape=(1, 9, 7, 3)):
        self.chance, self.builder = np.random.default_rng(seed), Builder()
        self.x = self.at = self.builder.activation(shape, *self.quantisation())
        self.shape = shape

    def quantisation(self) -> tuple[float, int]:
        return float(np.float32(self.chance.uniform(0.02, 0.3))), int(self.chance.integers(-128, 128))

    def same(self) -> tuple[float, int]:
        table = self.builder.tensors[self.at].quantization
        return table.scale[0], table.zeroPoint[0]

    def push(self, name: str, shape, inputs=(), quantised=None, **options) -> Net:
        y = self.builder.activation(shape, *(quantised or self.quantisation()))
        self.builder.operator(name, [self.at, *inputs], [y], **options)
        self.at, self.shape = y, tuple(shape)
        return self

    def weights(self, shape, channels: int, axis: int, per_channel: bool = True) -> list[int]:
        w = self.chance.integers(-127, 128, shape).astype(np.int8)
        scale = self.chance.uniform(0.001, 0.01, channels if per_channel else 1)
        b = self.chance.integers(-2000, 2000, channels).astype(np.int32)
        x_scale = self.same()[0]
        return [
            self.builder.constant(w, scale, axis=axis),
            self.builder.constant(b, np.float32(x_scale) * np.float32(scale)),
        ]

    def conv(self, channels: int, padding="SAME", stride=1, activation="RELU") -> Net:
        _, h, w, c = self.shape
        k = int(self.chance.integers(1, 4))
        size = [-(-n // stride) if padding == "SAME" else (n - k) // stride + 1 for n in (h, w)]
        inputs = self.weights((channels, k, k, c), channels, 0)
        options = {"Padding": padding, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": activation}
        return self.push("CONV_2D", (1, *size, channels), inputs, **options)

    def depthwise(self, multiplier: int = 1) -> Net:
        _, h, w, c = self.shape
        channels = c * multiplier
        inputs = self.weights((1, 3, 3, channels), channels, 3)
        options = {"Padding": "SAME", "StrideH": 1, "StrideW": 1, "FusedActivationFunction": "RELU6"}
        return self.push("DEPTHWISE_CONV_2D", (1, h, w, channels), inputs, DepthMultiplier=multiplier, **options)

    def residual(self) -> Net:
        before = self.at
        self.conv(self.shape[3], activation="NONE")
        return self.push("ADD", self.shape, [before], FusedActivationFunction="RELU")

    def pad(self, value: int | None = None) -> Net:
        amounts = self.builder.constant(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))
        _, h, w, c = self.shape
        if value is None:
            return self.push("PAD", (1, h + 3, w + 1, c), [amounts], self.same())
        constant = self.builder.constant(np.array([value], np.int8), *self.same())
        return self.push("PADV2", (1, h + 3, w + 1, c), [amounts, constant], self.same())

    def pool(self, name="MAX_POOL_2D") -> Net:
        _, h, w, c = self.shape
        options = {"Padding": "VALID", "StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
        return self.push(name, (1, h // 2, w // 2, c), quantised=self.same(), FusedActivationFunction="NONE", **options)

    def mean(self) -> Net:
        axes = self.builder.constant(np.array([1, 2], np.int32))
        return self.push("MEAN", (1, self.shape[3]), [axes], KeepDims=False)

    def dense(self, classes: int, per_channel: bool) -> Net:
        n = int(np.prod(self.shape))
        inputs = self.weights((classes, n), classes, 0, per_channel)
        return self.push("FULLY_CONNECTED", (1, classes), inputs, FusedActivationFunction="NONE")

    def softmax(self) -> Net:
        return self.push("SOFTMAX", self.shape, quantised=(1 / 256, -128), Beta=1.0)

    def reshape(self, shape) -> Net:
        target = self.builder.constant(np.array(shape, np.int32))
        return self.push("RESHAPE", shape, [target], self.same(), NewShape=list(shape))

    def simple(self, name: str, **options) -> Net:
        return self.push(name, self.shape, **options)

    def file(self) -> bytes:
        return self.builder.build([self.x], [self.at])


def random_net(seed: int) -> Net:
    net, chance = Net(seed), np.random.default_rng(seed + 1)
    steps = [
        lambda: net.conv(int(chance.integers(1, 6)), stride=int(chance.integers(1, 3))),
        lambda: net.depthwise(int(chance.integers(1, 3))),
        net.residual,
        lambda: net.pad().conv(4, "VALID") if net.shape[2] > 1 else net.residual(),
        lambda: net.pad(17).conv(4, "VALID") if net.shape[2] > 1 else net.residual(),
        lambda: net.pool() if min(net.shape[1:3]) > 1 else net.residual(),
        lambda: net.pool("AVERAGE_POOL_2D") if min(net.shape[1:3]) > 1 else net.residual(),
        lambda: net.simple("RELU"),
        lambda: net.simple("RELU6"),
        lambda: net.simple("QUANTIZE"),
    ]
    for step in chance.integers(0, len(steps), 5):
        steps[step]()
    return (net.mean() if chance.random() < 0.5 else net).dense(5, chance.random() < 0.5).softmax()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_nets_have_the_bits_of_litert(tmp_path_factory, seed):
    net = random_net(seed)
    raw = net.file()
    graph = load(raw, tmp_path_factory.mktemp("net"))
    plain, fused = (simulator.Simulator(tlm.build(g)) for g in (graph, fuse.pads_into_convolutions(graph)))
    inputs = [np.random.default_rng(seed + n).integers(-128, 128, (1, 9, 7, 3)).astype(np.int8) for n in range(3)]
    for x, expected in zip(inputs, references(raw, inputs), strict=True):
        np.testing.assert_array_equal(plain.run(x).reshape(-1), expected.reshape(-1))
        np.testing.assert_array_equal(fused.run(x).reshape(-1), expected.reshape(-1))


def test_pads_disappear_only_where_a_convolution_can_do_them(tmp_path):
    def codes(net: Net) -> list[str]:
        return [op.code for op in fuse.pads_into_convolutions(load(net.file(), tmp_path)).ops]

    assert codes(Net(1).pad().pool()) == [ir.PAD, ir.MAX_POOL]
    for seed in range(20):
        net = Net(seed).pad()
        zero_point = net.same()[1]
        net.conv(2, "VALID")
        kernel = net.builder.tensors[net.builder.operators[-1].inputs[1]].shape[1]
        assert codes(net) == ([ir.CONV2D] if kernel == 3 else [ir.PAD, ir.CONV2D])  # the pad is 2 rows after
        assert codes(Net(seed).pad(zero_point - 1 if zero_point > -128 else 3).conv(2, "VALID")) == [ir.PAD, ir.CONV2D]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_float_and_uint8_ends_are_stripped(tmp_path, dtype):
    """The int8 core is kept; it answers as the whole model does on values that are steps of its scale."""
    net = Net(5).conv(3)
    inner = net.file()
    b = net.builder

    def outside(index: int) -> int:
        inside = b.tensors[index]
        if dtype == "float32":
            return b.activation(inside.shape, dtype=dtype)
        return b.activation(inside.shape, inside.quantization.scale, inside.quantization.zeroPoint[0] + 128, dtype)

    x, y = outside(net.x), outside(net.at)
    b.operator("QUANTIZE", [x], [net.x])
    b.operators.insert(0, b.operators.pop())
    b.operator("DEQUANTIZE" if dtype == "float32" else "QUANTIZE", [net.at], [y])
    graph = load(b.build([x], [y]), tmp_path)
    assert [op.code for op in graph.ops] == [ir.CONV2D]
    assert graph.meta["source_input"] == graph.meta["source_output"] == dtype
    values = np.random.default_rng(0).integers(-128, 128, (1, 9, 7, 3)).astype(np.int8)
    expected = references(inner, [values])[0]
    np.testing.assert_array_equal(simulator.Simulator(tlm.build(graph)).run(values).reshape(-1), expected.reshape(-1))


def test_shapes_that_keras_computes_at_run_time_are_taken_from_the_result(tmp_path):
    """Flatten with a batch of unknown size: SHAPE, STRIDED_SLICE and PACK only say what the RESHAPE's output says."""
    net = Net(2)
    b = net.builder
    shape, batch, target = (b.activation(s, dtype="int32") for s in ((4,), (), (2,)))
    ends = [b.constant(np.array([n], np.int32)) for n in (0, 1, 1)]
    size = b.constant(np.array(189, np.int32))
    b.operator("SHAPE", [net.x], [shape])
    b.operator("STRIDED_SLICE", [shape, *ends], [batch])
    b.operator("PACK", [batch, size], [target])
    net.push("RESHAPE", (1, 189), [target], net.same())
    net.dense(3, True)
    assert [op.code for op in load(net.file(), tmp_path).ops] == [ir.RESHAPE, ir.FULLY_CONNECTED]


def test_names_may_repeat(tmp_path):
    net = Net(4).conv(2).conv(2)
    for tensor in net.builder.tensors:
        tensor.name = b"the same"
    graph = load(net.file(), tmp_path)
    assert len(graph.ops) == 2 and len(graph.tensors) == 7


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_an_unknown_operator_is_named_with_what_would_help(tmp_path):
    net = Net(1).conv(4)
    net.simple("LOGISTIC", quantised=(1 / 256, -128))
    sentence = refused(net.file(), tmp_path)
    assert 'operator 1 (LOGISTIC "' in sentence and "ReLU" in sentence
    net = Net(1)
    net.push("TRANSPOSE", (1, 7, 9, 3), [net.builder.constant(np.array([0, 2, 1, 3], np.int32))])
    assert "operator 0 (TRANSPOSE" in refused(net.file(), tmp_path)
    net = Net(1)
    net.push("UNIDIRECTIONAL_SEQUENCE_LSTM", (1, 9, 4))
    assert "recurrent" in refused(net.file(), tmp_path)


def test_float_models_are_sent_to_quantize(tmp_path):
    b = Builder()
    x, y = (b.activation((1, 4, 4, 2), dtype="float32") for _ in range(2))
    w = b.constant(np.zeros((2, 1, 1, 2), np.float32))
    b.operator("CONV_2D", [x, w], [y], Padding="SAME", StrideH=1, StrideW=1)
    assert "tinylearn quantize" in refused(b.build([x], [y]), tmp_path, BAD_MODEL)


def test_old_uint8_models_are_refused(tmp_path):
    b = Builder()
    x, y = (b.activation((1, 4, 4, 2), 0.1, 128, dtype="uint8") for _ in range(2))
    b.operator("MAX_POOL_2D", [x], [y], Padding="SAME", StrideH=1, StrideW=1, FilterHeight=1, FilterWidth=1)
    assert "uint8" in refused(b.build([x], [y]), tmp_path, BAD_MODEL)


def damaged_net(change) -> bytes:
    """A net with one convolution after `change` of its builder."""
    net = Net(6).conv(4)
    change(net.builder, *net.builder.operators[0].inputs, net.at)
    return net.file()


def _set(path: str, value):
    def change(b: Builder, x: int, w: int, bias: int, y: int) -> None:
        tensor, *fields = path.split(".")
        target = b.tensors[{"x": x, "w": w, "bias": bias, "y": y}[tensor]]
        for field in fields[:-1]:
            target = getattr(target, field)
        setattr(target, fields[-1], value)

    return change


@pytest.mark.parametrize(
    ("path", "value", "code", "words"),
    [
        ("x.shape", [2, 9, 7, 3], BAD_MODEL, "batch of 2"),
        ("x.shapeSignature", [1, -1, 7, 3], BAD_MODEL, "dynamic shape"),
        ("x.shape", [1, 9, 7, 3, 1], BAD_MODEL, "5 dimensions"),
        ("x.shape", [1, 70000, 7, 3], BAD_MODEL, "65535"),
        ("x.shape", [1, 9, 7, 5], UNSUPPORTED_OPERATOR, "grouped convolution"),
        ("x.quantization.scale", [0.0], BAD_MODEL, "scale 0.0"),
        ("x.quantization.scale", [float("nan")], BAD_MODEL, "scale nan"),
        ("x.quantization.zeroPoint", [200], BAD_MODEL, "zero point 200"),
        ("x.quantization.scale", [0.1, 0.2], BAD_MODEL, "2 quantisation scales"),
        ("x.quantization", None, BAD_MODEL, "no quantisation scale"),
        ("x.type", 7, BAD_MODEL, "int16"),
        ("w.quantization.zeroPoint", [0, 0, 3, 0], UNSUPPORTED_OPERATOR, "asymmetric"),
        ("w.quantization.scale", [0.1, 0.2], BAD_MODEL, "2 scales"),
        ("w.quantization.quantizedDimension", 3, BAD_MODEL, "along axis 3"),
        ("w.buffer", 0, UNSUPPORTED_OPERATOR, "computed, not constant"),
        ("w.shape", [4, 9, 9, 3], BAD_MODEL, "bytes, shape"),
        ("bias.type", 9, UNSUPPORTED_OPERATOR, "int32 was expected"),
        ("bias.shape", [2, 2], BAD_MODEL, "[4] was expected"),
        ("y.shape", [1, 9, 8, 4], BAD_MODEL, "was expected"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, path, value, code, words):
    sentence = refused(damaged_net(_set(path, value)), tmp_path, code)
    assert words in sentence and "operator 0 (CONV_2D" in sentence.replace("conv2d", "CONV_2D")


def test_several_inputs_or_outputs_are_refused(tmp_path):
    net = Net(1).conv(2)
    other = net.builder.activation((1, 2), 0.1)
    assert "2 inputs" in refused(net.builder.build([net.x, other], [net.at]), tmp_path, BAD_MODEL)
    assert "2 outputs" in refused(net.builder.build([net.x], [net.at, net.x]), tmp_path, BAD_MODEL)


def test_additions_that_broadcast_or_hold_constants_are_refused(tmp_path):
    net = Net(1)
    constant = net.builder.constant(np.ones((1, 9, 7, 3), np.int8), 0.1)
    net.push("ADD", net.shape, [constant])
    assert "addition of a constant" in refused(net.file(), tmp_path)
    net = Net(1)
    net.mean()
    net.push("ADD", (1, 9, 7, 3), [net.x])
    assert "same shape" in refused(net.file(), tmp_path)


def test_a_mean_over_channels_is_refused(tmp_path):
    net = Net(1)
    net.push("MEAN", (1, 9, 7), [net.builder.constant(np.array([3], np.int32))], KeepDims=False)
    assert "height and width" in refused(net.file(), tmp_path)


# ---- damage --------------------------------------------------------------------------------------------------------

GOOD = Net(8).conv(3).residual().mean().dense(4, True).softmax().file()


def takes_or_refuses(raw: bytes, tmp_path) -> None:
    """Anything but a sentence is a crash. A graph that comes out may be written or refused, with a sentence again."""
    try:
        tlm.read(tlm.build(load(raw, tmp_path)))
    except TinylearnError as error:
        assert error.exit_code in (BAD_MODEL, UNSUPPORTED_OPERATOR)


@pytest.mark.parametrize("length", sorted({*range(0, 64, 4), *range(64, len(GOOD), len(GOOD) // 60)}))
def test_cut_short(tmp_path, length):
    assert refused(GOOD[:length], tmp_path, BAD_MODEL)


def test_other_files_are_refused(tmp_path):
    assert "TFL3" in refused(b"PK\x03\x04 not a model at all", tmp_path, BAD_MODEL)
    assert refused(b"\0\0\0\0TFL3" + b"\xff" * 64, tmp_path, BAD_MODEL)
    with pytest.raises(TinylearnError, match="cannot read"):
        tflite.load(tmp_path / "no such.tflite")


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_changed_bytes_never_crash_the_importer(tmp_path_factory, data):
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    takes_or_refuses(bytes(raw), tmp_path_factory.getbasetemp())


def test_the_reference_agrees_that_the_good_model_is_good():
    assert reference(GOOD, np.zeros((1, 9, 7, 3), np.int8)).shape == (1, 4)


# ---- the last bit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RELU", "RELU6", "QUANTIZE", "MEAN"])
def test_ratios_of_scales_have_the_precision_of_litert(tmp_path, name):
    """TFLite divides scales in float32 here and in float64 there; the scales below tell one from the other."""
    chance, found = np.random.default_rng(0), 0
    while found < 6:
        y_scale = np.float32(chance.uniform(0.05, 0.5))
        x_scale = np.float32(y_scale * np.float32(chance.integers(1, 99) * 0.5 / chance.integers(1, 99)))
        ratios = float(x_scale) / float(y_scale), float(np.float32(x_scale / y_scale))
        answers = [np.round(np.arange(1, 128) * ratio + 1e-12) for ratio in ratios]
        exact = [np.abs(np.arange(1, 128) * ratio % 1 - 0.5).min() < 1e-5 for ratio in ratios]
        if ratios[0] == ratios[1] or not any(exact) or np.array_equal(*answers):
            continue
        b = Builder()
        x, y = (b.activation(shape, scale) for shape, scale in (((1, 1, 1, 127), x_scale), ((1, 127), y_scale)))
        if name == "MEAN":
            b.operator(name, [x, b.constant(np.array([1, 2], np.int32))], [y], KeepDims=False)
        else:
            b.tensors[y].shape = [1, 1, 1, 127]
            b.operator(name, [x], [y])
        values, raw = np.arange(1, 128, dtype=np.int8).reshape(1, 1, 1, 127), b.build([x], [y])
        runner = simulator.Simulator(tlm.build(load(raw, tmp_path)))
        np.testing.assert_array_equal(runner.run(values).reshape(-1), reference(raw, values).reshape(-1))
        found += 1
