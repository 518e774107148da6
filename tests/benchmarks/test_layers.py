"""The layers that are measured: those of the literature, with numbers that exercise a kernel, and LiteRT's bits."""

from __future__ import annotations

import numpy as np
import pytest
from tinylearn_host import ir, tlm
from tinylearn_host.bench import kernels, litert
from tinylearn_host.simulator import Simulator

MACS = {
    "L1 forward": 16 * 16 * 16 * 9 * 8,
    "L2 forward": 14 * 14 * 16 * 9,
    "L3 forward": 14 * 14 * 32 * 9,
    "L4 forward": 14 * 14 * 32 * 64,
    "L5 forward": 7 * 7 * 64 * 128,
    "L6 forward": 256 * 64,
    "L7 forward": 14 * 14 * 32 * 9,
    "L8 forward": 14 * 14 * 32 * 25,
}


@pytest.fixture(params=kernels.LAYERS, ids=lambda layer: layer.name)
def layer(request):
    return request.param


def test_sizes(layer):
    assert sum(op.macs for op in tlm.read(tlm.build(kernels.graph(layer))).ops) == MACS[layer.name]


def test_bits_of_litert(layer):
    graph, x = kernels.graph(layer), kernels.sample(layer)
    _, expected = litert.run(litert.export(graph), x, "LiteRT reference")
    assert Simulator(tlm.build(graph)).run(x).tobytes() == expected


def test_nothing_is_easy(layer):
    graph, x = kernels.graph(layer), kernels.sample(layer)
    w, y = graph.tensors["w"], Simulator(tlm.build(graph)).run(x)
    assert graph.tensors["x"].zero_point and graph.tensors["y"].zero_point
    assert len(np.unique(w.scale)) == layer.channels
    assert x.min() == -128 and x.max() == 127
    assert -127 <= w.data.min() < -110 and 110 < w.data.max() <= 127
    saturated = np.mean((y == -128) | (y == 127))
    assert saturated < 0.1 and y.std() > 25


def test_the_same_in_every_run(layer):
    assert tlm.build(kernels.graph(layer)) == tlm.build(kernels.graph(layer))
    assert layer.code != ir.FULLY_CONNECTED or layer.x[:2] == (1, 1)
