"""Columns turned into rows: the same bits (pads in convolutions: test_tflite.py)."""

from __future__ import annotations

from dataclasses import replace

import graphs
import numpy as np
import pytest
from tinylearn_host import fuse, ir, tlm
from tinylearn_host.simulator import Simulator


@pytest.mark.parametrize("seed", range(5))
def test_a_row_has_the_bits_of_a_column(seed):
    column = graphs.signal(seed)
    row = fuse.columns_into_rows(column)
    row.check()
    assert row.tensors[row.input].shape == (20, 1, 3)
    assert [op.code for op in row.ops] == [ir.RESHAPE] + [op.code for op in column.ops]
    assert all(row.tensors[op.weights].shape[1] == 1 for op in row.ops if op.code in (ir.CONV2D, ir.DEPTHWISE_CONV2D))
    left, right = (Simulator(tlm.build(graph)) for graph in (column, row))
    for x in np.random.default_rng(seed).integers(-128, 128, (10, 20, 1, 3)).astype(np.int8):
        np.testing.assert_array_equal(left.run(x), right.run(x))


def test_what_sees_beyond_the_column_stays():
    graph = graphs.signal(wide=True)
    assert fuse.columns_into_rows(graph) is graph


def test_a_column_that_goes_out_stays():
    graph = graphs.signal()
    cut = replace(graph, ops=graph.ops[:3], output=graph.ops[2].output)
    assert fuse.columns_into_rows(cut) is cut


def test_maps_of_two_sides_stay():
    graph = graphs.every_operator()
    assert fuse.columns_into_rows(graph) is graph
