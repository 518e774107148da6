"""The .tlm file: what is written is read, always in the same bytes."""

from __future__ import annotations

import hashlib
import zlib

import graphs
import numpy as np
import pytest
from tinylearn_host import importers, ir, planner, simulator, tlm
from tinylearn_host.bench import reference_models
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, UNSUPPORTED_OPERATOR, TinylearnError


def test_what_is_written_is_read():
    graph = graphs.every_operator()
    model = tlm.read(tlm.build(graph))
    assert [op.name for op in model.ops] == [op.code for op in graph.ops]
    assert model.arena == planner.forward(graph).bytes
    assert (model.name, model.labels) == (graph.name, graph.labels)
    assert model.input_shape() == (8, 8, 2) and model.output_shape() == (1, 1, 5)
    for record, op in zip(model.ops, graph.ops, strict=True):
        y = graph.tensors[op.output]
        assert model.tensors[record.y].shape == (1, *y.hwc)
        assert model.tensors[record.y].scale == np.float32(y.scale)
        assert model.tensors[record.y].zero_point == y.zero_point
        assert record.macs == graph.macs(op)
        if op.weights:
            w = graph.tensors[op.weights]
            np.testing.assert_array_equal(model.constant(record.w).reshape(w.shape), w.data)
            np.testing.assert_array_equal(model.constant(record.b).reshape(-1), graph.tensors[op.bias].data)
            found = np.frombuffer(model.raw, "<f4", len(w.scale), model.tensors[record.w].scales)
            np.testing.assert_array_equal(found, w.scale)


def test_the_classifier_is_found():
    graph = graphs.every_operator()
    model = tlm.read(tlm.build(graph))
    assert model.ops[model.head].name == ir.FULLY_CONNECTED
    assert model.features == model.ops[model.head].x


def test_a_graph_without_a_classifier_ends_in_features():
    graph = graphs.every_operator()
    graph.ops, graph.output, graph.labels = graph.ops[:8], graph.ops[7].output, None
    model = tlm.read(tlm.build(graph))
    assert model.head == len(model.ops) == 8
    assert model.features == model.output


def test_a_dense_layer_whose_input_is_used_twice_is_no_classifier():
    graph = graphs.every_operator()
    dense = graph.ops[-2]
    twice = ir.Op(ir.ADD, "twice", [dense.output, graph.ops[-1].output], "sum", attrs={"clamp": (-128, 127)})
    graph.tensors["sum"] = ir.Tensor("sum", (5,), scale=0.1)
    graph.ops, graph.output = [*graph.ops, twice], "sum"
    assert graph.classifier() == ("sum", len(graph.ops))


def test_the_same_graph_gives_the_same_bytes():
    assert tlm.build(graphs.every_operator()) == tlm.build(graphs.every_operator())
    assert tlm.build(graphs.every_operator(0)) != tlm.build(graphs.every_operator(1))


def test_checksum_identity_and_alignment_are_as_the_specification_says():
    raw = tlm.build(graphs.every_operator())
    assert int.from_bytes(raw[8:12], "little") == len(raw)
    assert int.from_bytes(raw[12:16], "little") == zlib.crc32(raw[16:])
    assert raw[16:48] == hashlib.sha256(raw[48:]).digest()
    count = int.from_bytes(raw[60:62], "little")
    table = [tlm.SECTION.unpack_from(raw, 64 + 16 * n) for n in range(count)]
    assert [tag for tag, *_ in table] == [b"TENS", b"OPS ", b"DATA", b"META"]
    assert all(offset % 8 == 0 and offset + length <= len(raw) for _, offset, length, _ in table)
    model = tlm.read(raw)
    assert all(t.place % 4 == 0 and t.scales % 4 == 0 for t in model.tensors)
    assert all(op.requant % 4 == 0 for op in model.ops)


def test_unknown_sections_are_skipped():
    raw = tlm.build(graphs.every_operator())
    sections = []
    for n in range(4):
        tag, offset, length, count = tlm.SECTION.unpack_from(raw, 64 + 16 * n)
        sections.append((tag, raw[offset : offset + length], count))
    # behind the others and with the same number of table entries, so that no offset moves
    ends = tuple(int.from_bytes(raw[at : at + 2], "little") for at in range(52, 60, 2))
    longer = tlm.assemble([*sections[:3], (b"BACK", b"from a later version", 0)], tlm.read(raw).arena, ends)
    model = tlm.read(longer)
    assert [op.name for op in model.ops] == [op.name for op in tlm.read(raw).ops]
    assert model.meta == {}
    assert simulator.module().check(np.frombuffer(longer, np.uint8).copy()) == 0


@pytest.mark.parametrize("name", reference_models.NAMES)
def test_real_models_are_smaller_than_their_source(name):
    path = reference_models.path(name)
    assert len(tlm.build(importers.load(path))) < path.stat().st_size


def test_writing_replaces_the_file_only_when_it_is_whole(tmp_path):
    path = tmp_path / "m.tlm"
    path.write_bytes(b"old")
    model = tlm.write(graphs.every_operator(), path)
    assert path.read_bytes() == model.raw
    assert [p.name for p in tmp_path.iterdir()] == ["m.tlm"]
    with pytest.raises(TinylearnError) as caught:
        tlm.write(graphs.every_operator(), tmp_path / "no such folder" / "m.tlm")
    assert caught.value.exit_code == BAD_DATA


def test_limits_of_the_format_are_sentences():
    graph = graphs.every_operator()
    dense = graph.ops[-2]
    graph.tensors[dense.bias].data[2] = 2**31 - 1
    with pytest.raises(TinylearnError, match=r"operator 9 .*overflow") as caught:
        tlm.build(graph)
    assert caught.value.exit_code == UNSUPPORTED_OPERATOR
    graph = graphs.every_operator()
    graph.labels = ["one"]
    with pytest.raises(TinylearnError, match="1 labels for an output of 5") as caught:
        tlm.build(graph)
    assert caught.value.exit_code == BAD_MODEL


def test_dead_channels_have_a_scale_that_boards_accept():
    graph = graphs.every_operator()
    graph.tensors[graph.ops[0].weights].scale[1] = 0.0
    model = tlm.read(tlm.build(graph))
    assert simulator.module().check(np.frombuffer(model.raw, np.uint8).copy()) == 0
    assert model.requantisation(model.ops[0])[0][1] == 0
