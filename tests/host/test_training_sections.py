"""The sections BWD, COST and SCHM: what is written is read, all else of the file stays, and damage is a sentence."""

from __future__ import annotations

import struct

import graphs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn_host import fuse, importers, ir, partition, simulator, tlm
from tinylearn_host import training_sections as sections
from tinylearn_host.bench import reference_models
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.training_sections import ADD_INPUT, BIAS, INPUT, MASK, WEIGHTS, Entry, Scheme

SCHEMES = [
    Scheme("deep", 70000, 16, (Entry(0, WEIGHTS, 0, 1, 1), Entry(1, WEIGHTS | BIAS, 0, 2, 2))),
    Scheme("bias", 900, 8, (Entry(1, BIAS),)),
]


def prepared(graph: ir.Graph | None = None) -> tlm.Model:
    return partition.prepare(tlm.read(tlm.build(graph or graphs.every_operator(), growth=0.25)))


MODEL = partition.with_schemes(prepared(), SCHEMES)


def reference(name: str) -> tlm.Model:
    return prepared(fuse.pads_into_convolutions(importers.load(reference_models.path(name))))


# ---- The backward program --------------------------------------------------------------------------------------------


def test_every_operator_is_differentiated():
    found = {MODEL.ops[record.op].name: record.flags for record in MODEL.backward}
    assert [record.op for record in MODEL.backward] == list(range(8, -1, -1))
    assert found[ir.CONV2D] == WEIGHTS | BIAS | MASK  # its input is the sample
    assert found[ir.DEPTHWISE_CONV2D] == WEIGHTS | BIAS | INPUT | MASK
    assert found[ir.ADD] == INPUT | ADD_INPUT | MASK
    for code in (ir.PAD, ir.MAX_POOL, ir.AVG_POOL, ir.RESHAPE):
        assert found[code] == INPUT


def test_costs_of_a_convolution_and_of_a_pool():
    costs = {MODEL.ops[cost.op].name: cost for cost in MODEL.costs}
    conv, pool = costs[ir.DEPTHWISE_CONV2D], costs[ir.MAX_POOL]
    assert (conv.weights, conv.biases) == (36, 4)
    assert conv.macs_forward == conv.macs_grad_input == conv.macs_grad_weight == 8 * 8 * 36
    assert (conv.saved_bytes, conv.mask_bits) == (256, 256)
    assert conv.scratch_input >= 4 * 8 * 4 and conv.scratch_weight >= 4 * 9
    assert pool.saved_bytes == 10 * 9 * 4 + 5 * 4 * 4 and pool.scratch_input == 4 * 9 * 4 and pool.weights == 0


def test_what_no_update_needs_is_pruned():
    """Nothing before the first weights has a gradient, nor has a branch without weights."""
    g = graphs._Maker(3)
    x = g.activation("x", (6, 6, 2), 0.05, -3)
    pooled = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0), "clamp": graphs.FULL}
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "clamp": graphs.FULL}
    a = g.op(ir.MAX_POOL, [x], (3, 3, 2), like=x, **pooled)
    b = g.op(ir.CONV2D, [a], (3, 3, 2), weights=(2, 1, 1, 2), **window)
    c = g.op(ir.CLAMP, [a], (3, 3, 2), clamp=(-100, 127), ratio=0.7)
    d = g.op(ir.ADD, [c, b], (3, 3, 2), clamp=graphs.FULL)
    model = prepared(ir.Graph("two branches", g.tensors, g.ops, x, d))
    assert [(record.op, record.flags & ~MASK) for record in model.backward] == [(3, ADD_INPUT), (1, WEIGHTS | BIAS)]


def test_nothing_is_trained_before_what_has_no_gradient():
    g = graphs._Maker(4)
    x = g.activation("x", (6,), 0.05, -3)
    a = g.op(ir.FULLY_CONNECTED, [x], (6,), weights=(6, 6), clamp=graphs.FULL)
    b = g.op(ir.SOFTMAX, [a], (6,), quantised=(1 / 256, -128), beta=1.0)
    c = g.op(ir.FULLY_CONNECTED, [b], (6,), weights=(6, 6), clamp=graphs.FULL)
    d = g.op(ir.CLAMP, [c], (6,), clamp=(-128, 100), ratio=1.1)
    model = prepared(ir.Graph("attention", g.tensors, g.ops, x, d))
    assert [record.op for record in model.backward] == [3, 2]
    assert model.backward[-1].flags == WEIGHTS | BIAS | MASK


def test_shared_weights_are_not_trained():
    g = graphs._Maker(5)
    x = g.activation("x", (4, 4, 2), 0.05, -3)
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "clamp": graphs.FULL}
    a = g.op(ir.CONV2D, [x], (4, 4, 2), weights=(2, 1, 1, 2), **window)
    b = g.op(ir.CONV2D, [a], (4, 4, 2), weights=(2, 1, 1, 2), **window)
    c = g.op(ir.CONV2D, [b], (4, 4, 2), weights=(2, 1, 1, 2), **window)
    g.ops[2].weights = g.ops[1].weights
    model = prepared(ir.Graph("shared", g.tensors, g.ops, x, c))
    flags = {record.op: record.flags & (WEIGHTS | BIAS) for record in model.backward}
    assert flags == {0: WEIGHTS | BIAS, 1: BIAS, 2: BIAS}


@pytest.mark.parametrize("name", reference_models.NAMES)
def test_real_models_can_be_trained_from_their_first_weights_on(name):
    model = reference(name)
    first = next(i for i, op in enumerate(model.ops) if op.name in ir.WEIGHTED)
    assert model.backward[-1].op == first
    assert model.backward[0].op == model.head - 1
    assert sum(cost.macs_forward for cost in model.costs) == sum(op.macs for op in model.ops[: model.head])


def test_a_model_of_which_nothing_can_be_trained_stays_without():
    graph = graphs.every_operator()
    graph.ops, graph.output, graph.labels = graph.ops[:1], graph.ops[0].output, None
    graph.ops[0] = ir.Op(ir.CLAMP, "only", ["x"], "y", attrs={"clamp": graphs.FULL, "ratio": 0.5})
    graph.tensors["y"], graph.output = ir.Tensor("y", (8, 8, 2), scale=0.1), "y"
    model = prepared(graph)
    assert (model.backward, model.costs, model.schemes) == ([], [], [])
    assert sections.BWD not in tlm.sections(model.raw)


# ---- The file --------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read():
    assert MODEL.schemes == SCHEMES
    assert [cost.op for cost in MODEL.costs] == [record.op for record in MODEL.backward]
    assert simulator.module().check(np.frombuffer(MODEL.raw, np.uint8).copy()) == 0


@pytest.mark.parametrize("name", reference_models.NAMES)
def test_the_forward_stays_as_it_is(name):
    """Constants move in the file; what they say and what the network answers does not."""
    graph = fuse.pads_into_convolutions(importers.load(reference_models.path(name)))
    before = tlm.read(tlm.build(graph, growth=0.25))
    after = partition.prepare(before)
    for index, tensor in enumerate(before.tensors):
        if tensor.region == tlm.IN_FILE:
            np.testing.assert_array_equal(before.constant(index), after.constant(index))
    x = np.random.default_rng(1).integers(-128, 128, before.input_shape()).astype(np.int8)
    assert simulator.Simulator(before.raw).run(x).tobytes() == simulator.Simulator(after.raw).run(x).tobytes()
    assert after.meta == before.meta and after.sha256 != before.sha256


def test_preparing_twice_gives_the_same_bytes():
    model = prepared()
    assert partition.prepare(model).raw == model.raw == prepared().raw


def test_unknown_sections_stay():
    raw = tlm.rewrite(MODEL, {b"LATR": (b"from a later version", 3)})
    again = partition.prepare(tlm.read(raw))
    offset, length, count = tlm.sections(again.raw)[b"LATR"]
    assert again.raw[offset : offset + length] == b"from a later version" and count == 3


def test_a_section_can_be_taken_out():
    bare = tlm.rewrite(MODEL, {sections.BWD: None, sections.COST: None, sections.SCHM: None})
    assert bare == tlm.build(graphs.every_operator(), growth=0.25)


def test_meta_that_is_there_stays():
    model = partition.with_meta(MODEL, domain="image", name="another")
    assert model.meta["domain"] == "image" and model.name == MODEL.name


# ---- Damage ----------------------------------------------------------------------------------------------------------


def damaged(tag: bytes, at: int, new: bytes) -> str:
    """The reader's sentence for a file with some bytes of a section changed, and a checksum that is right."""
    offset = tlm.sections(MODEL.raw)[tag][0] + at
    raw = tlm.seal(MODEL.raw[:offset] + new + MODEL.raw[offset + len(new) :])
    with pytest.raises(TinylearnError) as caught:
        tlm.read(raw)
    assert caught.value.exit_code == BAD_MODEL
    assert simulator.module().check(np.frombuffer(raw, np.uint8).copy()) == 0  # it can still predict
    return str(caught.value)


def half(value: int) -> bytes:
    return struct.pack("<H", value)


def word(value: int) -> bytes:
    return struct.pack("<I", value)


@pytest.mark.parametrize(
    ("tag", "at", "new", "sentence"),
    [
        (sections.BWD, 0, half(9), "operator 9 is out of order"),  # the head's first
        (sections.BWD, 8, half(8), "operator 8 is out of order"),
        (sections.BWD, 2, half(WEIGHTS | INPUT), "cannot have the flags 5"),
        (sections.BWD, 2, half(ADD_INPUT), "cannot have the flags 8"),
        (sections.BWD, 2, half(32), "cannot have the flags 32"),
        (sections.BWD, 2, half(0), "no gradient leads to operator 7"),
        (sections.COST, 0, half(7), "operators are not those of BWD"),
        (sections.COST, 40 * 7 + 4, word(37), "weights is 37, its operator has 36"),
        (sections.COST, 40 * 7 + 24, word(0), "saved_bytes is 0"),
        (sections.COST, 40 * 7 + 32, word(100), "less scratch"),
        (sections.COST, 40 * 7 + 36, word(2**32 - 4), "more than any board"),
        (sections.SCHM, 0, b"\0" * 16, "is no text"),
        (sections.SCHM, 0, b"\xff", "is no text"),
        (sections.SCHM, 20, half(0), "there are no 0 entries"),
        (sections.SCHM, 20, half(99), "there are no 99 entries"),
        (sections.SCHM, 22, half(12), "8 or 16 bits, not 12"),
        (sections.SCHM, 32, half(2), "operator 2 cannot be trained so"),
        (sections.SCHM, 34, b"\x00", "operator 0 cannot be trained so"),
        (sections.SCHM, 34, b"\x05", "operator 0 cannot be trained so"),
        (sections.SCHM, 35, b"\x02", "has not the channels"),
        (sections.SCHM, 36, half(2), "has not the channels"),
        (sections.SCHM, 38, half(3), "has not the channels"),
        (sections.SCHM, 38, half(0), "has not the channels 1 and 0 more"),
        (sections.SCHM, 44, half(0), "operator 0 is out of order"),
        (sections.SCHM, 56, b"deep", "another one called deep"),
    ],
)
def test_damage_is_a_sentence(tag, at, new, sentence):
    said = damaged(tag, at, new)
    assert sentence in said and "Convert the model again" in said


@pytest.mark.parametrize("tag", [sections.BWD, sections.COST, sections.SCHM])
@pytest.mark.parametrize(("size", "count"), [(-8, 0), (8, 0), (0, 1), (0, -1)])
def test_sections_of_another_size_are_refused(tag, size, count):
    offset, length, records = tlm.sections(MODEL.raw)[tag]
    content = MODEL.raw[offset : offset + min(length, length + size)] + b"\0" * max(size, 0)
    with pytest.raises(TinylearnError):
        tlm.read(tlm.rewrite(MODEL, {tag: (content, records + count)}))


@given(st.sampled_from([sections.BWD, sections.COST, sections.SCHM]), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_damaged_it_is_read_or_refused(tag, data):
    offset, length, _ = tlm.sections(MODEL.raw)[tag]
    raw = bytearray(MODEL.raw)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[offset + data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    try:
        model = tlm.read(tlm.seal(bytes(raw)))
    except TinylearnError as error:
        assert error.exit_code == BAD_MODEL
    else:
        assert len(model.costs) == len(model.backward)
