"""Board = simulator = LiteRT, bit for bit, on whole models: `tinylearn run` over the boards' serial ports."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import CliRunner
from tinylearn_host import tlm
from tinylearn_host.bench import reference_models
from tinylearn_host.cli import main
from tinylearn_host.simulator import Simulator

SAMPLES = 3


@pytest.fixture(scope="module", params=reference_models.NAMES)
def model(request, tmp_path_factory):
    """A real model as .tlm: (its path, inputs int8 [n, h, w, c], LiteRT's answers)."""
    source = reference_models.path(request.param)
    path = tmp_path_factory.mktemp("bits") / f"{request.param}.tlm"
    assert CliRunner().invoke(main, ["convert", str(source), "-o", str(path)]).exit_code == 0
    shape = tlm.read(path).input_shape()
    x = np.random.default_rng(1).integers(-128, 128, (SAMPLES, *shape)).astype(np.int8)
    x[0] = 127
    return path, x, litert(source.read_bytes(), x)


def litert(model: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for sample in x:
        interpreter.set_tensor(source["index"], sample.reshape(source["shape"]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(sink["index"]).reshape(-1).copy())
    return np.stack(answers)


def test_the_simulator_has_the_bits_of_litert(model):
    path, x, expected = model
    np.testing.assert_array_equal(Simulator(path).run_batch(x).reshape(SAMPLES, -1), expected)


def test_boards_have_the_bits_of_litert(model, board_name, board_port, tmp_path):
    path, x, expected = model
    np.save(tmp_path / "x.npy", x)
    y = tmp_path / "y.npy"
    command = ["run", path, "--board", board_name, "--port", board_port, "--input", tmp_path / "x.npy", "--output", y]
    result = CliRunner().invoke(main, [str(word) for word in [*command, "--json"]])
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["samples"] == SAMPLES and report["seconds"] > 0
    np.testing.assert_array_equal(np.load(y).reshape(SAMPLES, -1), expected)
