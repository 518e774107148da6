"""convert, inspect, sizes and run, as a user types them; the simulator is the board."""

from __future__ import annotations

import json

import graphs
import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import errors, tlm
from tinylearn_host.bench import reference_models
from tinylearn_host.cli import main
from tinylearn_host.simulator import Simulator

KWS = "kws_ref_model"


def tinylearn(*arguments) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "every.tlm"
    tlm.write(graphs.every_operator(), path)
    return path


def test_help_lists_every_exit_code():
    code, out, _ = tinylearn("--help")
    assert code == 0
    lines = out.splitlines()
    for number, meaning in errors.MEANINGS.items():
        assert any(line.split() == [str(number), *meaning.split()] for line in lines), number


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help(command):
    code, out, _ = tinylearn(command, "--help")
    assert code == 0 and len(out.splitlines()) >= 8


def test_convert_writes_a_model_and_says_what_it_is(tmp_path):
    source, target = reference_models.path(KWS), tmp_path / "kws.tlm"
    code, out, _ = tinylearn("convert", source, "-o", target, "--board", "pico", "--name", "words")
    assert code == 0
    model = tlm.read(target)
    assert model.name == "words" and model.meta["source"] == source.name
    assert "13 operators" in out and "12 classes" in out and "pico: fits" in out
    assert [path.name for path in tmp_path.iterdir()] == ["kws.tlm"]


def test_convert_is_repeatable(tmp_path):
    for name in "ab":
        tinylearn("convert", reference_models.path(KWS), "-o", tmp_path / f"{name}.tlm", "--name", "words")
    assert (tmp_path / "a.tlm").read_bytes() == (tmp_path / "b.tlm").read_bytes()


def test_convert_reports_in_json(tmp_path):
    source, target = reference_models.path(KWS), tmp_path / "kws.tlm"
    code, out, _ = tinylearn("convert", source, "-o", target, "--board", "pico", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["bytes"] == target.stat().st_size
    assert report["macs"] == 2656768 and report["head"] == 11 and report["features"] == 64
    assert report["arena_lower_bound"] <= report["arena_bytes"] <= 1.05 * report["arena_lower_bound"]
    assert report["fit"]["fits"] and report["fit"]["heap_needed"] > report["bytes"] + report["arena_bytes"]


@pytest.mark.parametrize("given", ["a,b, c", "file"])
def test_labels_from_a_list_or_a_file(tmp_path, given):
    labels = [f"word {n}" for n in range(12)]
    if given == "file":
        (tmp_path / "labels.txt").write_text("\n".join(labels) + "\n")
        given = tmp_path / "labels.txt"
    else:
        given = ", ".join(labels)
    target = tmp_path / "kws.tlm"
    assert tinylearn("convert", reference_models.path(KWS), "-o", target, "--labels", given)[0] == 0
    assert tlm.read(target).labels == labels


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--labels", "a,b"], errors.BAD_MODEL, "2 labels for an output of 12"),
        (["--labels", "a,a"], errors.BAD_DATA, "twice"),
        (["--board", "toaster"], errors.USAGE, "toaster"),
        (["--nonsense"], errors.USAGE, "--nonsense"),
    ],
)
def test_a_conversion_that_fails_writes_nothing(tmp_path, arguments, code, words):
    found, out, err = tinylearn("convert", reference_models.path(KWS), "-o", tmp_path / "kws.tlm", *arguments)
    assert (found, out) == (code, "") and words in err
    assert not list(tmp_path.iterdir())


def test_sources_that_are_no_models(tmp_path):
    target = tmp_path / "m.tlm"
    for name, content in (("a.tflite", b"TFL3 or not"), ("b.tflite", b""), ("c.h5", b"x"), ("d.tlm", b"x")):
        path = tmp_path / name
        path.write_bytes(content)
        code, _, err = tinylearn("convert", path, "-o", target)
        assert code == errors.BAD_MODEL and err.startswith("tinylearn: error: ") and name in err
        assert len(err.splitlines()) == 1
    assert tinylearn("convert", tmp_path / "none.tflite", "-o", target)[0] == errors.BAD_MODEL
    assert not target.exists()


def test_inspect_shows_every_layer(model):
    code, out, _ = tinylearn("inspect", model)
    assert code == 0
    for op in tlm.read(model).ops:
        assert op.name in out
    assert "class 3" in out and "pico" in out


def test_inspect_in_json(model):
    code, out, _ = tinylearn("inspect", model, "--json")
    report, parsed = json.loads(out), tlm.read(model)
    assert code == 0 and report["sha256"] == parsed.sha256.hex()
    assert [layer["operator"] for layer in report["layers"]] == [op.name for op in parsed.ops]
    assert sum(layer["macs"] for layer in report["layers"]) == report["macs"]
    assert report["layers"][0]["parameter_bytes"] == 4 * 3 * 3 * 2 + 4 * 4 + 4 * 4 + 4 * 5
    assert report["layers"][0]["output_shape"] == [8, 8, 4] and report["layers"][0]["kernel"] == [3, 3]
    assert {"pico", "unix"} <= {board["board"] for board in report["boards"]}


def test_sizes_say_by_how_much_a_model_does_not_fit(tmp_path):
    graph = graphs.every_operator()
    graph.meta["ballast"] = "x" * 300_000
    tlm.write(graph, tmp_path / "big.tlm")
    code, out, _ = tinylearn("sizes", tmp_path / "big.tlm", "--board", "pico", "--json")
    (fit,) = json.loads(out)["boards"]
    assert code == 0 and not fit["fits"]
    assert fit["heap_free"] == 240_000 - fit["heap_needed"] < -60_000
    code, out, _ = tinylearn("sizes", tmp_path / "big.tlm", "--board", "pico")
    assert "-" in out.splitlines()[1]


def test_run_answers_as_the_simulator(tmp_path, model):
    x = np.random.default_rng(0).integers(-128, 128, (7, 8, 8, 2)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    arguments = ["--board", "sim", "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    code, out, _ = tinylearn("run", model, *arguments, "--json")
    report = json.loads(out)
    assert code == 0 and report["samples"] == 7 and report["shape"] == [7, 1, 1, 5]
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), Simulator(model).run_batch(x))


@pytest.mark.parametrize("shape", [(8, 8, 2), (1, 8, 8, 2), (128,), (3, 128), (0, 8, 8, 2)])
def test_run_takes_one_sample_a_batch_and_vectors(tmp_path, model, shape):
    np.save(tmp_path / "x.npy", np.ones(shape, np.int8))
    code, _, err = tinylearn(
        "run", model, "--board", "sim", "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"
    )
    assert code == 0, err
    assert len(np.load(tmp_path / "y.npy")) == (shape[0] if len(shape) in (2, 4) else 1)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((8, 8, 2), np.float32), "float32"),
        (np.zeros((8, 8, 3), np.int8), "(8, 8, 3)"),
        (np.zeros((2, 8, 2, 8), np.int8), "(2, 8, 2, 8)"),
        (np.array(["no"]), "int8"),
    ],
)
def test_run_refuses_what_does_not_fit_the_model(tmp_path, model, array, words):
    np.save(tmp_path / "x.npy", array)
    output = tmp_path / "y.npy"
    code, _, err = tinylearn("run", model, "--board", "sim", "--input", tmp_path / "x.npy", "--output", output)
    assert code == errors.BAD_DATA and words in err
    assert not output.exists()


def test_run_refuses_files_that_are_no_arrays(tmp_path, model):
    for name, content in (("a.npy", b"not numpy"), ("b.npy", b""), ("c.npy", b"\x93NUMPY\x01\x00\xff\xff")):
        (tmp_path / name).write_bytes(content)
        code, _, err = tinylearn(
            "run", model, "--board", "sim", "--input", tmp_path / name, "--output", tmp_path / "y.npy"
        )
        assert code == errors.BAD_DATA and name in err


def test_damaged_models_are_refused_by_every_command(tmp_path, model):
    raw = bytearray(model.read_bytes())
    raw[200] ^= 1
    model.write_bytes(raw)
    np.save(tmp_path / "x.npy", np.zeros((8, 8, 2), np.int8))
    run = ["run", model, "--board", "sim", "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    for arguments in (["inspect", model], ["sizes", model], run):
        code, out, err = tinylearn(*arguments)
        assert (code, out) == (errors.BAD_MODEL, "") and "checksum" in err


def test_inspect_says_what_can_be_trained(tmp_path):
    target = tmp_path / "kws.tlm"
    tinylearn("convert", reference_models.path(KWS), "-o", target)
    _, words, _ = tinylearn("inspect", target)
    assert "can be trained from operator 0 on" in words and "64K (" in words
    report = json.loads(tinylearn("inspect", target, "--json")[1])["training"]
    assert report["weights"]["8"] == 4096 and report["biases"]["8"] == 64
    assert {scheme["name"] for scheme in report["schemes"]} == {s.name for s in tlm.read(target).schemes}
