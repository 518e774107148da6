"""Damaged and hostile .tlm files: a sentence on the host, a status on the board, never a crash; and both agree."""

from __future__ import annotations

import struct
import zlib

import graphs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinylearn_host import simulator, tlm
from tinylearn_host.errors import BAD_MODEL, TinylearnError

GOOD = tlm.build(graphs.every_operator())
TABLE = [tlm.SECTION.unpack_from(GOOD, 64 + 16 * n) for n in range(4)]
TENSORS, OPERATORS, DATA = (offset for _, offset, _, _ in TABLE[:3])
INTERESTING = [0, 1, 2, 3, 4, 5, 8, 16, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 4]


def host_refuses(raw: bytes) -> str:
    """The host's sentence, empty where it accepts."""
    try:
        tlm.read(raw)
    except TinylearnError as error:
        assert error.exit_code == BAD_MODEL
        return str(error)
    return ""


def board_refuses(raw: bytes) -> int:
    """The status of the board's own check, 0 where it accepts. It sees nothing behind the file's end."""
    return simulator.module().check(np.frombuffer(raw, np.uint8).copy())


def sealed(raw: bytes) -> bytes:
    """As a hostile author would: with a checksum that is right."""
    return raw[:12] + struct.pack("<I", zlib.crc32(raw[16:])) + raw[16:]


def agree(raw: bytes) -> None:
    sentence, status = host_refuses(raw), board_refuses(raw)
    assert bool(sentence) == bool(status), (
        f"host: {sentence or 'accepts'}; board: status {status & 255} at {status >> 8}"
    )


def test_the_good_file_is_accepted():
    assert host_refuses(GOOD) == "" and board_refuses(GOOD) == 0


@pytest.mark.parametrize(
    "at", sorted({0, 1, 63, 64, 100, 127, *(o + d for _, o, n, _ in TABLE for d in (-1, 0, 1, n - 1))})
)
def test_cut_short_at_every_border(at):
    assert "cut short" in host_refuses(GOOD[:at]) or "too short" in host_refuses(GOOD[:at])
    assert board_refuses(GOOD[:at]) != 0


@pytest.mark.parametrize(
    ("at", "new", "sentence"),
    [
        (0, b"TLMX", "not a .tlm model"),
        (4, b"\x02\x00", "version 2"),
        (8, struct.pack("<I", len(GOOD) + 1), "cut short"),
        (8, struct.pack("<I", 2**32 - 1), "cut short"),
        (12, b"\0\0\0\0", "checksum"),
        (20, b"\xff", "checksum"),
        (DATA, b"\x55\x55", "checksum"),
    ],
)
def test_wrong_in_the_header(at, new, sentence):
    raw = GOOD[:at] + new + GOOD[at + len(new) :]
    assert sentence in host_refuses(raw)
    assert board_refuses(raw) != 0


@pytest.mark.parametrize("n", range(3))
@pytest.mark.parametrize("field", [4, 8, 12])
@pytest.mark.parametrize("value", [1, 7, 2**31, 2**32 - 8, len(GOOD), len(GOOD) + 8])
def test_sections_that_lead_outside(n, field, value):
    at = 64 + 16 * n + field
    raw = sealed(GOOD[:at] + struct.pack("<I", value) + GOOD[at + 4 :])
    agree(raw)
    if not (TABLE[n][0] == b"DATA" and field == 12):  # the number of records of a section without any
        assert host_refuses(raw) and board_refuses(raw)


@pytest.mark.parametrize("n", range(3))
def test_a_section_is_missing(n):
    at = 64 + 16 * n
    raw = sealed(GOOD[:at] + b"XXXX" + GOOD[at + 4 :])
    assert "is missing" in host_refuses(raw)
    assert board_refuses(raw) != 0


@given(st.integers(16, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte_is_noticed(at, flip):
    raw = GOOD[:at] + bytes([GOOD[at] ^ flip]) + GOOD[at + 1 :]
    assert "checksum" in host_refuses(raw) or "cut short" in host_refuses(raw)
    assert board_refuses(raw) != 0


@given(st.integers(48, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=600, deadline=None)
def test_host_and_board_agree_on_a_changed_byte(at, value):
    agree(sealed(GOOD[:at] + bytes([value]) + GOOD[at + 1 :]))


def test_host_and_board_agree_on_every_field():
    """Each half word and word of header, tables and records, at values where something might give way."""
    accepted = 0
    for at in range(48, DATA, 2):
        for value in INTERESTING:
            size = 4 if at % 4 == 0 else 2
            new = struct.pack("<I", value & 0xFFFFFFFF)[:size]
            raw = sealed(GOOD[:at] + new + GOOD[at + size :])
            agree(raw)
            accepted += not board_refuses(raw)
    assert accepted > 100  # else nothing but refusals was compared


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_host_and_board_agree_on_several_changes(data):
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(2, 4))):
        at = 2 * data.draw(st.integers(24, DATA // 2 - 2))
        raw[at : at + 2] = struct.pack("<H", data.draw(st.sampled_from(INTERESTING)) & 0xFFFF)
    agree(sealed(bytes(raw)))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_runs(data):
    """A file that passes the check runs without leaving its buffers, whatever it says."""
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(TENSORS, len(GOOD) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    raw = sealed(bytes(raw))
    if not board_refuses(raw):
        runner = simulator.Simulator(raw)
        assert runner.run(np.zeros(runner.model.input_shape(), np.int8)).shape == runner.model.output_shape()


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_noise_is_refused(noise):
    assert host_refuses(noise) and board_refuses(noise)
    assert host_refuses(b"TLML\x01\x00\x00\x00" + noise) and board_refuses(b"TLML\x01\x00\x00\x00" + noise)
