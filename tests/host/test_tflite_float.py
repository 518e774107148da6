"""Float .tflite models through `tinylearn quantize`, against LiteRT on the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinylearn_host import ir, quantizing, tlm
from tinylearn_host.bench import reference_models
from tinylearn_host.bench.tflite_builder import Builder, reference
from tinylearn_host.cli import main
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError

SHAPE = (1, 9, 8, 3)
WINDOW = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}


class Maker(Builder):
    """A float network that grows by its methods; each gives the index of its output."""

    def __init__(self, seed: int = 0, dtype=np.float32):
        super().__init__()
        self.random, self.dtype = np.random.default_rng(seed), dtype
        self.input = self.real(SHAPE)

    def real(self, shape) -> int:
        return self.activation(shape, dtype="float32")

    def weights(self, *shape: int, fan_in: int = 9) -> int:
        return self.constant((self.random.normal(size=shape) / fan_in**0.5).astype(self.dtype))

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.tensors[index].shape)

    def conv(
        self, x: int, out: int, kernel: int = 3, padding="SAME", act="NONE", stride: int = 1, depthwise=False
    ) -> int:
        _, h, w, c = self.shape(x)
        sides = [-(-n // stride) if padding == "SAME" else (n - kernel) // stride + 1 for n in (h, w)]
        shape = (1, kernel, kernel, out) if depthwise else (out, kernel, kernel, c)
        y, name = self.real((1, *sides, out)), "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        inputs = [x, self.weights(*shape, fan_in=kernel**2 * (1 if depthwise else c)), self.weights(out)]
        options = {**WINDOW, "StrideH": stride, "StrideW": stride, "Padding": padding, "FusedActivationFunction": act}
        self.operator(name, inputs, [y], **options, **({"DepthMultiplier": out // c} if depthwise else {}))
        return y

    def pool(self, x: int, name: str, padding="VALID") -> int:
        _, h, w, c = self.shape(x)
        y = self.real((1, *((n - 2) // 2 + 1 if padding == "VALID" else -(-n // 2) for n in (h, w)), c))
        self.operator(name, [x], [y], Padding=padding, StrideH=2, StrideW=2, FilterHeight=2, FilterWidth=2)
        return y

    def unary(self, name: str, inputs: list[int], shape, **options) -> int:
        y = self.real(shape)
        self.operator(name, inputs, [y], **options)
        return y

    def dense(self, x: int, out: int) -> int:
        count = int(np.prod(self.shape(x)))
        y = self.real((1, out))
        self.operator("FULLY_CONNECTED", [x, self.weights(out, count, fan_in=count), self.weights(out)], [y])
        return y


def samples(count: int = 24) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 2, (count, *SHAPE[1:])).astype(np.float32)


def check(model: Maker, output: int, folder: Path) -> quantizing.Quantised:
    """Quantise; the float side must be LiteRT's answers, the int8 side near them."""
    path = folder / "net.tflite"
    path.write_bytes(model.build([model.input], [output]))
    x = samples()
    result = quantizing.quantize(path, x, quick=True)
    expected = np.stack([reference(path.read_bytes(), sample[None]).reshape(-1) for sample in x])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-4 * scale)
    assert np.abs(result.calibration.shown - expected).max() < 0.1 * scale
    return result


def test_a_network_of_every_kind(tmp_path):
    m = Maker()
    a = m.conv(m.input, 8, act="RELU6", stride=2)
    b = m.conv(a, 8, depthwise=True, act="RELU")
    c = m.unary("ADD", [m.conv(b, 8, 1), a], m.shape(a), FusedActivationFunction="RELU")
    d = m.pool(c, "MAX_POOL_2D", "SAME")
    e = m.unary("PAD", [d, m.constant(np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32))], (1, 4, 3, 8))
    flat = m.constant(np.array([1, 2 * 1 * 8], np.int32))
    f = m.unary("RESHAPE", [m.pool(e, "AVERAGE_POOL_2D"), flat], (1, 2 * 1 * 8))
    result = check(m, m.unary("SOFTMAX", [m.dense(f, 5)], (1, 5), Beta=1.0), tmp_path)
    assert [op.code for op in result.graph.ops] == [  # the average is a convolution, which takes the padding in
        *(ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.CONV2D, ir.ADD, ir.MAX_POOL, ir.DEPTHWISE_CONV2D),
        *(ir.RESHAPE, ir.FULLY_CONNECTED, ir.SOFTMAX),
    ]


@pytest.mark.parametrize("keep", [False, True])
def test_a_mean_and_its_dense_layer(tmp_path, keep):
    m = Maker(1)
    a = m.conv(m.input, 6, padding="VALID", act="RELU")
    axes = m.constant(np.array([1, 2], np.int32))
    b = m.unary("MEAN", [a, axes], (1, 1, 1, 6) if keep else (1, 6), KeepDims=keep)
    result = check(m, m.dense(b, 4), tmp_path)
    assert [op.code for op in result.graph.ops] == [ir.CONV2D, ir.MEAN, ir.FULLY_CONNECTED]


def test_scaling_by_constants_goes_into_layers(tmp_path):
    """Keras' Rescaling and a batch normalisation that the converter left alone."""
    m = Maker(2)
    x = m.unary("MUL", [m.input, m.constant(np.array(0.25, np.float32))], SHAPE)
    a = m.conv(x, 6)
    b = m.unary("MUL", [a, m.weights(6)], m.shape(a))
    c = m.unary("ADD", [b, m.weights(6)], m.shape(a), FusedActivationFunction="RELU")
    result = check(m, c, tmp_path)
    assert [op.code for op in result.graph.ops] == [ir.CONV2D]


def test_weights_in_float16_are_reals(tmp_path):
    m = Maker(3)
    half = m.constant((m.random.normal(size=(4, 3, 3, 3)) / 5).astype(np.float32))
    m.buffers[-1].data = np.frombuffer(
        np.frombuffer(bytes(m.buffers[-1].data), np.float32).astype(np.float16).tobytes(), np.uint8
    )
    m.tensors[half].type = 1  # FLOAT16
    whole = m.unary("DEQUANTIZE", [half], (4, 3, 3, 3))
    y = m.real((1, 9, 8, 4))
    m.operator("CONV_2D", [m.input, whole, m.weights(4)], [y], **WINDOW, Padding="SAME")
    check(m, y, tmp_path)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**16), st.sampled_from(["SAME", "VALID"]), st.integers(1, 4), st.integers(1, 3), st.booleans(),
    st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]),
)  # fmt: skip
def test_convolutions_of_any_shape(tmp_path, seed, padding, kernel, stride, depthwise, act):
    m = Maker(seed)
    out = m.conv(m.input, 6, kernel, padding, act, stride, depthwise)
    check(m, out, tmp_path)


def refused(model: Maker, output: int, folder: Path, code: int, *words: str) -> None:
    path = folder / "net.tflite"
    path.write_bytes(model.build([model.input], [output]))
    with pytest.raises(TinylearnError) as caught:
        quantizing.quantize(path, samples(), quick=True)
    assert caught.value.exit_code == code
    assert all(word in str(caught.value) for word in ("net.tflite", *words)), str(caught.value)


def test_operators_that_boards_do_not_have_are_named(tmp_path):
    m = Maker()
    y = m.unary("LOGISTIC", [m.conv(m.input, 4)], (1, 9, 8, 4))
    refused(m, y, tmp_path, UNSUPPORTED_OPERATOR, "operator 1 (LOGISTIC", "ReLU")
    m = Maker()
    y = m.unary("MUL", [m.conv(m.input, 4), m.conv(m.input, 4)], (1, 9, 8, 4))
    refused(m, y, tmp_path, UNSUPPORTED_OPERATOR, "Mul", "squeeze-and-excite")


def test_an_int8_model_is_sent_to_convert(tmp_path):
    path = reference_models.path("kws_ref_model")
    np.savez(tmp_path / "c.npz", x=samples())
    command = ["quantize", path, "--calibrate", tmp_path / "c.npz", "-o", tmp_path / "m.tlm"]
    outcome = CliRunner().invoke(main, [str(word) for word in command])
    assert outcome.exit_code == BAD_MODEL and "tinylearn convert" in outcome.stderr
    assert not (tmp_path / "m.tlm").exists()


def test_the_command_takes_it(tmp_path):
    m = Maker()
    (tmp_path / "net.tflite").write_bytes(m.build([m.input], [m.dense(m.conv(m.input, 4, act="RELU"), 3)]))
    np.savez(tmp_path / "c.npz", x=samples(), y=np.arange(24) % 3)
    command = ["quantize", tmp_path / "net.tflite", "--calibrate", tmp_path / "c.npz", "-o", tmp_path / "m.tlm"]
    outcome = CliRunner().invoke(main, [str(word) for word in command])
    assert outcome.exit_code == 0, outcome.stderr
    assert tlm.read(tmp_path / "m.tlm").meta["source"] == "net.tflite"
    np.savez(tmp_path / "c.npz", x=samples()[:, :4])
    assert CliRunner().invoke(main, [str(word) for word in command]).exit_code == BAD_DATA


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_never_a_crash(tmp_path_factory, data):
    m = Maker()
    raw = bytearray(m.build([m.input], [m.dense(m.conv(m.input, 2, act="RELU6", stride=4), 3)]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.tflite"
    path.write_bytes(raw)
    try:
        quantizing.quantize(path, samples(4), quick=True)
    except TinylearnError as error:
        assert error.exit_code in (BAD_MODEL, UNSUPPORTED_OPERATOR, BAD_DATA)
