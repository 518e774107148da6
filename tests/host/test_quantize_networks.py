"""What people bring, from PyTorch by both of its exporters: converted without help, with the answers of ONNX Runtime.

Weights are random here; tests/soak/test_trained_networks.py trains them.
"""

from __future__ import annotations

import functools
import json
import warnings

import networks
import numpy as np
import pytest
import tinylearn_host
import torch
from click.testing import CliRunner
from tinylearn_host import ir, quantizing, tlm
from tinylearn_host.cli import main
from tinylearn_host.quantizing import qdq
from tinylearn_host.quantizing.observe import Runner
from tinylearn_host.simulator import Simulator
from torch import nn

SMALL = {
    "mobilenet_v2": {"side": 32, "last": 64},
    "resnet8": {"side": 16},
    "ds_cnn": {"shape": (25, 10)},
    "mcunet": {"side": 24},
    "cnn_1d": {},
}
SAMPLES = 12


def made(name: str, settled: bool = True, **options) -> tuple[nn.Module, np.ndarray]:
    """A network and samples as it takes them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, sample = networks.NETWORKS[name](**options)
    net = networks.settled(net, torch.rand(16, *sample.shape[1:])) if settled else net.eval()
    return net, np.random.default_rng(1).random((SAMPLES, *sample.shape[1:]), np.float32)


@functools.cache
def quantised(name: str) -> tuple[quantizing.Quantised, np.ndarray]:
    net, x = made(name, **SMALL[name])
    return tinylearn_host.quantize(net, x, quick=True, name=name), x


@pytest.fixture(params=SMALL)
def small(request) -> tuple[quantizing.Quantised, np.ndarray]:
    return quantised(request.param)


def test_a_module_becomes_layers_that_boards_have(small):
    result, _ = small
    assert {op.code for op in result.graph.ops} <= {
        *(ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.FULLY_CONNECTED, ir.ADD, ir.MEAN),
        *(ir.AVG_POOL, ir.MAX_POOL, ir.RESHAPE),
    }
    assert result.graph.ops[-1].code == ir.FULLY_CONNECTED and not result.notes[1:]


def test_every_layer_is_that_of_onnx_runtime(small):
    """Value by value, each from the same int8 inputs: quantizing/steps.py leaves none near a half."""
    result, x = small
    graph, names = result.graph, qdq.dequantised_names(result.qdq)
    run = Runner(quantizing._giving(result.qdq, [names[n] for n in (graph.input, *(op.output for op in graph.ops))]))
    simulator = Simulator(tlm.build(graph, None))
    for given in run.batches(x[:2]):
        theirs = {name: _steps(given[names[name]], graph.tensors[name]) for name in names if names[name] in given}
        for index, op in enumerate(graph.ops):
            record = simulator.model.ops[index]
            for tensor, name in zip((record.x, record.x2), op.inputs, strict=False):
                simulator.view(tensor)[:] = theirs[name]
            assert simulator.tl_infer.run(simulator.file, simulator.arena, index, index + 1) == 0
            if op.code == ir.RESHAPE:  # channels last on our side: what follows reads it in that order
                theirs[op.output] = simulator.view(record.y).copy()
            np.testing.assert_array_equal(simulator.view(record.y), theirs[op.output], op.name)


def test_the_answer_is_that_of_onnx_runtime(small):
    """However deep and random the network, and in both ways in which ONNX Runtime does it."""
    result, x = small
    scale = result.graph.tensors[result.graph.output].scale
    for optimised in (False, True):
        theirs = Runner(result.qdq, optimised=optimised).outputs(x)
        assert np.abs(np.rint((result.calibration.shown - theirs) / scale)).max() <= 1


def _steps(real: np.ndarray, tensor: ir.Tensor) -> np.ndarray:
    """int8, channels last, of one sample's values in reals."""
    return (
        np.moveaxis(np.rint(real[0] / np.float32(tensor.scale)) + tensor.zero_point, 0, -1).reshape(-1).astype(np.int8)
    )


@pytest.mark.boards("unix")
def test_boards_have_the_bits_of_the_simulator(small, board_name, board_port, tmp_path):
    result, x = small
    model, y = tmp_path / "net.tlm", tmp_path / "y.npy"
    result.save(model)
    steps = quantizing.compare.steps_of(np.moveaxis(x[:2], 1, -1), result.graph.tensors[result.graph.input])
    np.save(tmp_path / "x.npy", steps.reshape(2, -1))
    command = ["run", model, "--board", board_name, "--port", board_port, "--input", tmp_path / "x.npy", "--output", y]
    outcome = CliRunner().invoke(main, [str(word) for word in command])
    assert outcome.exit_code == 0, outcome.stderr
    np.testing.assert_array_equal(np.load(y), Simulator(model).run_batch(steps))


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_untrained_networks_answer_as_onnx_runtime(name):
    """As PyTorch initialises them. In full size, as one command."""
    net, x = made(name, settled=False)
    result = tinylearn_host.quantize(net, x[:4], quick=True)
    y = result.graph.tensors[result.graph.output]
    steps = (result.calibration.shown - Runner(result.qdq).outputs(x[:4])) / y.scale
    assert np.abs(np.rint(steps)).max() <= 1
    assert result.calibration.sqnr > 35


def test_both_exporters_lead_to_the_same_model(tmp_path):
    net, x = made("ds_cnn", **SMALL["ds_cnn"])
    files = [tmp_path / "old.onnx", tmp_path / "new.onnx"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, options in zip(files, ({"dynamic_axes": {"x": {0: "n"}}}, {"dynamo": True}), strict=True):
            options = {"dynamo": False, "input_names": ["x"], **options}
            torch.onnx.export(net, (torch.from_numpy(x[:1]),), str(path), **options)
    np.savez(tmp_path / "c.npz", x=np.moveaxis(x, 1, -1))
    codes = []
    for path in files:
        target = path.with_suffix(".tlm")
        command = ["quantize", path, "--calibrate", tmp_path / "c.npz", "-o", target, "--quick", "--json"]
        outcome = CliRunner().invoke(main, [str(word) for word in command])
        assert outcome.exit_code == 0, outcome.stderr
        assert json.loads(outcome.stdout)["quantisation"]["calibration"]["sqnr_db"] > 25
        codes.append([op.name for op in tlm.read(target).ops])
    assert codes[0] == codes[1] and len(codes[0]) >= 11


class ChannelsLast(nn.Module):
    """As Keras and TensorFlow export: data [N, H, W, C], transposed around each layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 6, 3, padding=1)
        self.norm, self.dense = nn.BatchNorm2d(8), nn.Linear(6 * 4 * 3, 5)
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]))

    def forward(self, x):
        x = ((x - self.mean) / 0.25).permute(0, 3, 1, 2)
        x = torch.relu(self.norm(self.first(x)).permute(0, 2, 3, 1))
        x = self.second(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.dense(nn.functional.relu6(x).reshape(x.shape[0], -1))


def test_channels_last_networks_lose_their_transposes():
    torch.manual_seed(2)
    net, x = ChannelsLast().eval(), np.random.default_rng(0).random((SAMPLES, 8, 6, 3), np.float32)
    result = tinylearn_host.quantize(net, x, quick=True)
    codes = [op.code for op in result.graph.ops]
    # The mean cannot go into a layer that pads: a convolution with a kernel of 1 subtracts it.
    assert codes == [ir.DEPTHWISE_CONV2D, ir.CONV2D, ir.CONV2D, ir.RESHAPE, ir.FULLY_CONNECTED]
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-4)
    assert result.calibration.sqnr > 30


class OverTime(nn.Module):
    """A raw series gets its channel in the network, a dense layer goes over time, the mean comes last."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense = nn.Conv1d(1, 4, 5, 2), nn.Linear(4, 5)

    def forward(self, x):
        return self.dense(torch.relu(self.conv(x.unsqueeze(1))).transpose(1, 2)).mean(1)


@pytest.mark.parametrize(
    ("layers", "codes"),
    [
        ([nn.MaxPool2d(2), nn.ReLU()], [ir.CONV2D, ir.MAX_POOL, ir.RESHAPE]),
        ([nn.ZeroPad2d(1), nn.MaxPool2d(2), nn.ReLU6()], [ir.CONV2D, ir.PAD, ir.MAX_POOL, ir.RESHAPE]),
        ([nn.Flatten(), nn.ReLU()], [ir.CONV2D, ir.RESHAPE]),
        ([nn.AvgPool2d(2), nn.ReLU()], [ir.CONV2D, ir.DEPTHWISE_CONV2D, ir.RESHAPE]),
    ],
)
def test_a_relu_behind_a_pool_is_part_of_the_layer_before(layers, codes):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Conv2d(2, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(3)), torch.randn(SAMPLES, 2, 9, 9)
    with torch.no_grad():
        expected = net.eval()(x).numpy()
    result = tinylearn_host.quantize(net, x, quick=True)
    assert [op.code for op in result.graph.ops] == [*codes, ir.FULLY_CONNECTED]
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-5)
    assert result.calibration.sqnr > 25


@pytest.mark.parametrize(
    ("net", "shape", "codes"),
    [
        (OverTime(), (60,), [ir.RESHAPE, ir.CONV2D, ir.CONV2D, ir.MEAN]),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3), nn.LogSoftmax(1)),
            (3, 4, 4),
            [ir.RESHAPE, ir.FULLY_CONNECTED, ir.FULLY_CONNECTED],
        ),
        (
            nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 1)),
            (2, 6, 6),
            [ir.DEPTHWISE_CONV2D, ir.MAX_POOL, ir.CONV2D],
        ),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 3, 1)), (2, 6, 6), [ir.MAX_POOL, ir.CONV2D]),
        (nn.Sequential(nn.Linear(12, 3), nn.Sigmoid()), (12,), [ir.FULLY_CONNECTED]),
    ],
)
def test_networks_may_begin_with_anything(net, shape, codes):
    torch.manual_seed(0)
    for part in net.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    net, x = net.eval(), np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32)
    result = tinylearn_host.quantize(net, x, quick=True)
    assert [op.code for op in result.graph.ops] == codes
    with torch.no_grad():
        left_out = any(word in str(net) for word in ("LogSoftmax", "Sigmoid"))
        expected = (net[:-1] if left_out else net)(torch.from_numpy(x)).numpy()
    expected = np.moveaxis(expected, 1, -1).reshape(SAMPLES, -1)
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-5)
    assert result.calibration.sqnr > 30


class Odds(nn.Module):
    """Arithmetic with constants, a batch normalisation that follows no layer, pools of all kinds, a softmax."""

    def __init__(self):
        super().__init__()
        self.norm, self.after = nn.BatchNorm2d(4), nn.BatchNorm1d(6)
        self.layers = nn.ModuleList([nn.Conv2d(2, 4, 3), nn.Conv2d(4, 6, 1), nn.Linear(6, 3)])
        self.pools = nn.ModuleList([nn.AvgPool2d(3, 2, 1), nn.MaxPool2d(2, 2, ceil_mode=True)])
        self.most = nn.AdaptiveMaxPool2d(1)

    def forward(self, x):
        x = nn.functional.pad(x / 255, (1, 2, 0, 1))
        x = torch.clamp(self.norm(torch.relu(self.layers[0](x))), -1, 2)
        x = self.pools[1](self.pools[0](x) * 1.5 + 0.25)
        x = torch.relu(self.layers[1](x)).amax((2, 3))
        return torch.softmax(self.layers[2](self.after(x)), 1)


def test_odds_and_ends_are_rewritten():
    torch.manual_seed(0)
    net, x = Odds(), np.random.default_rng(0).random((SAMPLES, 2, 9, 11), np.float32) * 255
    net = networks.settled(net, torch.from_numpy(x))
    result = tinylearn_host.quantize(net, x, quick=True)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-4)
    assert result.graph.ops[-1].code == ir.SOFTMAX
    assert np.abs(result.calibration.shown - expected).max() < 0.05


def test_rewriting_a_network_changes_no_answer(small):
    """The float side of the comparison is the network itself."""
    result, x = small
    name = result.graph.name
    net, _ = made(name, **SMALL[name])
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.calibration.real, expected, atol=1e-4 * scale)


def test_help_is_kept_only_where_it_helps():
    """Channels of very different reach are what equalisation is for; the answers say so."""
    net, x = made("cnn_1d")
    with torch.no_grad():
        spread = torch.logspace(-1.5, 1.5, 16)
        net[0][1].weight.mul_(spread)
        net[0][1].bias.mul_(spread)
        net[2][0].weight.div_(spread[None, :, None])
    result = tinylearn_host.quantize(net, np.repeat(x, 4, 0) * np.random.default_rng(0).random((48, 1, 1), np.float32))
    tries = {t.what: t for t in result.tries}
    equalised = next(t for what, t in tries.items() if "equalised" in what)
    before = max(t.sqnr for what, t in tries.items() if what.startswith("ranges"))
    assert equalised.kept and equalised.sqnr > before + 3
    best = before
    for t in result.tries[4:]:
        assert t.kept == (t.sqnr > best + 0.05)
        best = max(best, t.sqnr) if t.kept else best


def test_the_module_stays_as_it_was():
    net, x = made("cnn_1d")
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    tinylearn_host.quantize(net, torch.from_numpy(x), quick=True)
    assert net.training
    assert all((before[name] == value).all() for name, value in net.state_dict().items())


def test_a_module_that_cannot_be_exported_is_named():
    net, x = made("cnn_1d")
    with pytest.raises(tinylearn_host.errors.TinylearnError, match="PyTorch cannot export"):
        tinylearn_host.quantize(net, x[:, :3])
