"""`tinylearn quantize`, as a user types it and as Python calls it: what comes out, what is said, what is refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx_builder import Net
from tinylearn_host import quantizing, tlm
from tinylearn_host.cli import main
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, UNSUPPORTED_OPERATOR, USAGE
from tinylearn_host.simulator import Simulator


def tinylearn(*arguments) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def classifier(seed: int = 3) -> Net:
    """12 x 12 x 2 to 5 classes, separable."""
    net = Net((2, 12, 12), seed).conv(8, 3, 2, 1).relu().conv(0, 3, 1, 1, depthwise=1).relu().conv(16, 1).relu()
    return net.mean().dense(16, 5)


def samples(count: int = 40, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(0).random((count, 12, 12, 2), np.float32)


@pytest.fixture
def source(tmp_path):
    """A float model, and beside it c.npz to calibrate on and v.npz whose values are twice as large."""
    classifier().save(tmp_path / "net.onnx", (5,))
    np.savez(tmp_path / "c.npz", x=samples(), y=np.arange(40) % 5)
    np.savez(tmp_path / "v.npz", x=samples(scale=2), y=np.arange(40) % 5)
    return tmp_path / "net.onnx"


def test_a_float_model_becomes_one_for_boards(source, tmp_path):
    target = tmp_path / "net.tlm"
    code, out, err = tinylearn("quantize", source, "--calibrate", tmp_path / "c.npz", "-o", target, "--board", "pico")
    assert code == 0, err
    model = tlm.read(target)
    assert model.name == "net" and model.meta["source"] == "net.onnx"
    assert [op.name for op in model.ops] == ["conv2d", "depthwise_conv2d", "conv2d", "mean", "fully_connected"]
    assert "int8" in out and "float" in out and "% right" in out and "fits" in out and "with --validate" in out
    assert all(name in out for name in ("conv0", "gemm", "min-max", "equalised", "biases corrected"))


def test_the_report_in_json_has_every_layer_and_what_was_tried(source, tmp_path):
    arguments = ["--calibrate", tmp_path / "c.npz", "--validate", tmp_path / "c.npz", "-o", tmp_path / "net.tlm"]
    code, out, _ = tinylearn("quantize", source, *arguments, "--json")
    report = json.loads(out)["quantisation"]
    assert code == 0
    assert [layer["operator"] for layer in report["validation"]["layers"]][:2] == ["input", "conv2d"]
    assert all(layer["sqnr_db"] > 25 for layer in report["validation"]["layers"])
    assert report["calibration"] == report["validation"] and report["notes"] == []
    assert report["validation"]["sqnr_db"] > 35 and report["validation"]["same_highest_output"] > 0.9
    chosen = [t for t in report["tries"][:4] if t["kept"]]
    assert len(chosen) == 1 and chosen[0]["sqnr_db"] == max(t["sqnr_db"] for t in report["tries"][:4])


def test_the_figures_are_those_of_the_simulator(source, tmp_path):
    """What the report says of the int8 model is what its file answers."""
    x, y = samples(), np.arange(40) % 5
    result = quantizing.quantize(source, (x, y))
    graph, simulator = result.graph, Simulator(result.model().raw)
    t = graph.tensors[graph.input]
    steps = np.clip(np.rint(x / np.float32(t.scale)) + t.zero_point, -128, 127).astype(np.int8)
    answers = simulator.run_batch(steps).reshape(40, -1)
    assert np.mean(answers.argmax(1) == y) == result.calibration.top1(y)[1]
    out = graph.tensors[graph.output]
    np.testing.assert_allclose((answers.astype(int) - out.zero_point) * out.scale, result.calibration.shown, atol=1e-6)


def test_the_same_model_comes_out_by_way_of_qdq(source, tmp_path):
    assert tinylearn("quantize", source, "--calibrate", tmp_path / "c.npz", "-o", tmp_path / "net.tlm")[0] == 0
    (tmp_path / "q").mkdir()
    qdq = tmp_path / "q" / "net.onnx"
    assert tinylearn("quantize", source, "--calibrate", tmp_path / "c.npz", "-o", qdq)[0] == 0
    for command in ("quantize", "convert"):
        again = tmp_path / f"{command}.tlm"
        code, _, err = tinylearn(command, qdq, "-o", again, "--name", "net")
        assert code == 0, err
        assert again.read_bytes() == (tmp_path / "net.tlm").read_bytes()


def test_a_qdq_model_is_compared_with_its_own_reals(source, tmp_path):
    quantizing.quantize(source, samples(), method="min-max").save(tmp_path / "qdq.onnx")
    result = quantizing.quantize(tmp_path / "qdq.onnx", validate=(samples(), np.arange(40) % 5))
    assert result.calibration is None and result.validation.sqnr > 40
    assert any("quantised already" in note for note in result.notes)


def test_narrow_calibration_is_said(source, tmp_path):
    arguments = ["--calibrate", tmp_path / "c.npz", "--validate", tmp_path / "v.npz", "-o", tmp_path / "net.tlm"]
    code, out, _ = tinylearn("quantize", source, *arguments)
    assert code == 0 and "narrower than the validation set" in out and 'the input "x" (up to 2.0 times)' in out


def test_wide_calibration_is_no_reason_to_speak(source, tmp_path):
    arguments = ["--calibrate", tmp_path / "v.npz", "--validate", tmp_path / "c.npz", "-o", tmp_path / "net.tlm"]
    assert "narrower" not in tinylearn("quantize", source, *arguments)[1]


@pytest.mark.parametrize(("pixels", "step"), [("0,1", (1 / 255, -128)), ("0,255", (1.0, -128)), ("-1,1", (2 / 255, 0))])
def test_pixels_go_to_boards_as_they_are(source, tmp_path, pixels, step):
    np.savez(tmp_path / "p.npz", x=np.rint(255 * samples()).astype(np.uint8))
    arguments = [
        "--calibrate",
        tmp_path / "p.npz",
        "-o",
        tmp_path / "net.tlm",
        "--pixels",
        pixels,
        "--ranges",
        "min-max",
    ]
    code, _, err = tinylearn("quantize", source, *arguments)
    assert code == 0, err
    model = tlm.read(tmp_path / "net.tlm")
    first = model.tensors[model.input]
    assert (first.scale, first.zero_point) == (np.float32(step[0]), step[1])


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_the_report_is_drawn(source, tmp_path, suffix):
    report = tmp_path / f"report{suffix}"
    arguments = ["--calibrate", tmp_path / "c.npz", "--validate", tmp_path / "v.npz", "-o", tmp_path / "net.tlm"]
    code, _, err = tinylearn("quantize", source, *arguments, "--report", report, "--ranges", "min-max")
    assert code == 0, err
    text = report.read_text("utf-8")
    assert "<svg" in text
    if suffix == ".svg":
        xml.etree.ElementTree.fromstring(text)
    else:
        assert "narrower" in text and "Worst layers" in text


def test_layers_that_clip_are_seen_and_relu_is_not_blamed():
    """Half the values of a layer are negative and cut off by its ReLU: that is no saturation."""
    from tinylearn_host.quantizing.compare import Layer

    layer = Layer(0, "conv2d", "a", low=0.0, high=2.55)
    layer.add(np.array([0.0, 0.0, 1.0, 2.55]), np.array([0.0, 0.0, 1.0, 2.55]), 0.01)
    assert layer.saturation == 0 and layer.sqnr == 120
    layer.add(np.array([5.1, 0.0, 0.0, 0.0]), np.array([2.55, 0.0, 0.0, 0.0]), 0.01)
    assert layer.saturation == 1 / 8 and layer.times == pytest.approx(2)


# ---- refusals -------------------------------------------------------------------------------------------------------


def refused(folder, code: int, words: list[str], *arguments) -> None:
    """The command ends with this code and one sentence with these words, and leaves nothing behind."""
    before = sorted(path.name for path in folder.iterdir())
    found, out, err = tinylearn("quantize", *arguments, "-o", folder / "out.tlm")
    assert (found, out) == (code, ""), (found, err)
    assert len(err.splitlines()) == 1 and all(word in err for word in words), err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((0, 12, 12, 2), np.float32), ["no samples"]),
        (np.zeros((4, 12, 12, 2), np.float32), ["constant"]),
        (np.repeat(samples(1), 5, 0), ["5 samples are the same"]),
        (np.where(samples() > 0.9, np.nan, samples()), ["sample 0", "NaN"]),
        (samples()[:, :5], ["(5, 12, 2)", "(12, 12, 2)"]),
        (np.ones((4, 12, 12, 2), np.int16), ["int16", "uint8"]),
        (np.array(["a", "b"]), ["x is <U1"]),
    ],
)
def test_bad_calibration_data_is_named(source, tmp_path, x, words):
    np.savez(tmp_path / "bad.npz", x=x)
    refused(tmp_path, BAD_DATA, ["bad.npz", *words], source, "--calibrate", tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(40), ["label 5 of sample 5", "5 outputs"]),
        (np.arange(40) % 5 - 1, ["label -1"]),
        (np.zeros(39, int), ["(39,)", "40 samples"]),
        (np.array(["a"] * 40), ["--labels"]),
        (np.zeros(40), ["float64"]),
    ],
)
def test_labels_that_do_not_match_are_named(source, tmp_path, y, words):
    np.savez(tmp_path / "v.npz", x=samples(), y=y)
    files = ["--calibrate", tmp_path / "c.npz", "--validate", tmp_path / "v.npz"]
    refused(tmp_path, BAD_DATA, ["v.npz", *words], source, *files)


def test_labels_are_matched_by_name(source, tmp_path):
    names = np.array(list("abcde"))
    np.savez(tmp_path / "v.npz", x=samples(), y=names[np.arange(40) % 5])
    files = ["--calibrate", tmp_path / "c.npz", "--validate", tmp_path / "v.npz", "-o", tmp_path / "net.tlm"]
    code, out, err = tinylearn("quantize", source, *files, "--labels", "a,b,c,d,e", "--json", "--ranges", "min-max")
    assert code == 0, err
    report = json.loads(out)["quantisation"]
    assert report["validation"]["top1_int8"] == report["calibration"]["top1_int8"] or report["notes"]
    assert tlm.read(tmp_path / "net.tlm").labels == list("abcde")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an archive"])
def test_files_that_are_no_data(source, tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    refused(tmp_path, BAD_DATA, ["bad.npz"], source, "--calibrate", tmp_path / "bad.npz")


def test_an_archive_without_x(source, tmp_path):
    np.savez(tmp_path / "bad.npz", images=samples())
    refused(tmp_path, BAD_DATA, ["no array x", "images"], source, "--calibrate", tmp_path / "bad.npz")


def test_a_float_model_needs_calibration(source, tmp_path):
    refused(tmp_path, USAGE, ["net.onnx", "calibrate"], source)


def test_names_of_outputs_and_reports_are_checked_first(source, tmp_path):
    for arguments in (["-o", tmp_path / "net.bin"], ["-o", tmp_path / "a.tlm", "--report", tmp_path / "report.pdf"]):
        code, _, err = tinylearn("quantize", source, "--calibrate", tmp_path / "c.npz", *arguments)
        assert code == USAGE and "must end in" in err


@pytest.mark.parametrize("length", [0, 10, 200])
def test_damaged_models_are_refused(source, tmp_path, length):
    source.write_bytes(source.read_bytes()[:length])
    refused(tmp_path, BAD_MODEL, ["net.onnx"], source, "--calibrate", tmp_path / "c.npz")


def test_missing_and_foreign_models_are_refused(source, tmp_path):
    (tmp_path / "model.h5").write_bytes(b"x")
    for name in ("none.onnx", "model.h5", "none.tflite"):
        refused(tmp_path, BAD_MODEL, [name], tmp_path / name, "--calibrate", tmp_path / "c.npz")


def test_dynamic_shapes_are_refused(source, tmp_path):
    model = onnx.load(source)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, source)
    refused(tmp_path, BAD_MODEL, ["dynamic", "height"], source, "--calibrate", tmp_path / "c.npz")


def test_a_batch_left_open_is_a_batch_of_one(source, tmp_path):
    model = onnx.load(source)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, source)
    assert quantizing.quantize(source, samples(), method="min-max").calibration.sqnr > 30


@pytest.mark.parametrize(
    ("build", "place", "hint"),
    [
        (lambda n: n.conv(4).node("Sigmoid"), 'node 1 (Sigmoid "sigmoid1")', "put ReLU in its place"),
        (lambda n: n.conv(4).node("HardSwish"), 'node 1 (HardSwish "hardswish1")', "put ReLU6 in its place"),
        (lambda n: n.conv(4).node("Concat", "conv0", axis=1), 'node 1 (Concat "concat1")', "add the branches"),
        (lambda n: n.node("Pad", n.constant(np.array([0, 0, 1, 1] * 2)), mode="reflect"), "node 0", "pad with zeros"),
        (lambda n: n.node("Transpose", perm=[0, 1, 3, 2]), "node 0 (Transpose", "channels first or last"),
        (lambda n: n.conv(4).node("InstanceNormalization", *[n.constant(n.normal(4))] * 2), "node 1", "batch norm"),
        (lambda n: n.conv(4).node("Mul", "conv0"), "node 1 (Mul", "squeeze-and-excite"),
        (lambda n: n.conv(4).node("Sigmoid").node("Mul", "conv0"), "node 1 (Sigmoid", "half of a SiLU"),
        (lambda n: n.conv(4).relu().node("Sigmoid").node("Mul", "conv0"), "node 2 (Sigmoid", "leave such blocks out"),
    ],
)
def test_what_boards_do_not_have_is_named_with_the_nearest_thing(tmp_path, build, place, hint):
    net = build(Net((2, 12, 12)))
    net.nodes.append(onnx.helper.make_node("Identity", [net.last], ["y"]))
    net.last = "y"
    net.save(tmp_path / "net.onnx", (None, None, None), opset=14)
    np.savez(tmp_path / "c.npz", x=samples())
    refused(
        tmp_path,
        UNSUPPORTED_OPERATOR,
        ["net.onnx", place, hint],
        tmp_path / "net.onnx",
        "--calibrate",
        tmp_path / "c.npz",
    )


def test_weights_that_are_not_finite_are_named(tmp_path):
    net = Net((2, 12, 12))
    net.node("Conv", net.constant(np.full((4, 2, 3, 3), np.nan, np.float32))).save(tmp_path / "net.onnx", (4, 10, 10))
    np.savez(tmp_path / "c.npz", x=samples())
    refused(tmp_path, BAD_MODEL, ["node 0", "NaN"], tmp_path / "net.onnx", "--calibrate", tmp_path / "c.npz")
