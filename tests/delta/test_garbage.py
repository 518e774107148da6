"""Damaged and hostile .tld files: the board refuses them without harm, and the host takes exactly the same ones."""

from __future__ import annotations

from struct import pack

import pytest
import tinylearn
from firmware.checks import pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn import delta
from tinylearn_host import tld, tlm
from tinylearn_host.errors import TinylearnError

from firmware import small_model


@pytest.fixture(scope="module")
def deltas(tmp_path_factory):
    """(the model on the board, the same for the host, whole deltas of it)."""
    path = small_model.write(tmp_path_factory.mktemp("model") / "model.tlm")
    model, found = tinylearn.load(str(path)), []
    for classes, options in (
        (2, {"method": "prototype"}),
        (4, {"metric": "euclidean"}),
        (3, {"method": "last_layer", "steps": 2}),
    ):
        model.head = None
        model.adapt(((x, k if k % 2 else f"class {k}") for x, k in pictures(classes, 2)), **options)
        w, b = model.operator(0, "<HH", 18)
        model.change([w, b] if classes == 3 else [])
        maps = [model.operator(i, "<H", 16)[0] for i in (0, 2)]
        model.held = dict(zip(maps, (bytearray(b"\x81"), bytearray(b"\1\2\0\x80")), strict=True)) if classes > 2 else {}
        kept = pack("<I", 16) + b"\x02" + bytes(16) + b"\x01" + bytes(16)
        model.memory = (2, bytearray(kept)) if classes == 3 else None
        model.save()
        found.append(
            max(
                (
                    path.with_name(name).read_bytes()
                    for name in ("model.tld.0", "model.tld.1")
                    if path.with_name(name).exists()
                ),
                key=lambda raw: raw[12],
            )
        )
    model.change(())
    model.head, model.held, model.memory = None, {}, None
    return model, tlm.read(path), found


class Memory:
    """A slot that holds these bytes."""

    name = "here"

    def __init__(self, raw: bytes):
        self.raw = raw

    def open(self):
        import io

        return io.BytesIO(self.raw)


def verdicts(deltas, raw: bytes) -> tuple[bool, bool]:
    """Whether (board, host) would load it. Whatever the board takes, it can predict with and learn on from."""
    board, host, _ = deltas
    try:
        delta._load(board, Memory(raw))
        board_takes = True
    except delta.Refused:
        board_takes = False
    try:
        tld.read(raw, host)
        host_takes = True
    except TinylearnError:
        host_takes = False
    if board_takes:
        x = bytes(range(64))
        label, confidence = board.predict(x)
        assert label in board.labels
        assert 0 <= confidence <= 1
        if board.head and len(board.labels) < 200:
            board.adapt([(x, board.labels[0])], method="last_layer", steps=1)
    assert bool(board.head or board.changed or board.held or board.memory) <= board_takes
    board.head, board.held, board.memory = None, {}, None
    board.change(())
    return board_takes, host_takes


def test_whole_ones_are_taken(deltas):
    assert len(deltas[2]) == 3
    for raw in deltas[2]:
        assert verdicts(deltas, raw) == (True, True)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_both_readers_say_the_same(deltas, data):
    raw = bytearray(data.draw(st.sampled_from(deltas[2])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, 160), st.integers(0, len(raw) - 1)))
        piece = data.draw(
            st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0"]))
        )
        raw[at : at + len(piece)] = piece
    action = data.draw(st.sampled_from(["as is", "seal", "seal", "seal", "cut", "longer"]))
    raw = bytes(raw)
    if action == "seal":
        raw = tld.seal(raw)
    elif action == "cut":
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    elif action == "longer":
        raw += bytes(5)
    board, host = verdicts(deltas, raw)
    assert board == host


def test_what_is_held_must_be_channels_of_maps(deltas):
    """The last records: 17 of tensors with 8 and 32 channels."""
    board, host, whole = deltas
    raw, held = whole[1], tld.read(whole[1]).held
    assert [(h.tensor, h.channels) for h in held] == [
        (board.operator(0, "<H", 16)[0], [0, 7]),
        (board.operator(2, "<H", 16)[0], [0, 9, 31]),
    ]
    first, second = len(raw) - 4 - 16 - 16, len(raw) - 4 - 16
    for at, changed in (
        (first + 2, held[1].tensor), (first + 2, host.features), (first + 2, host.ops[0].w), (first + 2, 4000),
        (second + 2, held[0].tensor), (first + 4, 1), (first + 8, 2), (second + 8, 3),
    ):  # fmt: skip
        other = bytearray(raw)
        other[at : at + 2] = changed.to_bytes(2, "little")
        assert verdicts(deltas, tld.seal(bytes(other))) == (False, False), at
    assert "holds 5 channels of 2 maps" in tld.describe(tld.read(raw, host))


@given(st.binary(max_size=200))
def test_any_bytes(deltas, raw):
    assert verdicts(deltas, raw) == (False, False)
    verdicts(deltas, tld.MAGIC + b"\x01\0\0\0" + raw)


def test_every_length_of_a_file_cut_short(deltas):
    raw = deltas[2][0]
    for length in range(0, len(raw)):
        assert verdicts(deltas, raw[:length]) == (False, False)


def test_every_bit_of_the_header(deltas):
    raw = deltas[2][0]
    for bit in range(8 * 88):
        other = bytearray(raw)
        other[bit // 8] ^= 1 << bit % 8
        board, host = verdicts(deltas, tld.seal(bytes(other)))
        assert board == host, bit
