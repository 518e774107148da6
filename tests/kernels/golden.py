"""The golden vectors' file (tests/golden/README.md), written and read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from cases import Case

FILE = Path(__file__).parent.parent / "golden" / "forward.bin"
MAGIC, VERSION = b"TLGV", 1
FIELDS = ("params", "x", "x2", "w", "b", "requant", "y")


def record(case: Case) -> bytes:
    """One operator: its buffers and LiteRT's answer."""
    arrays = [b"" if a is None else a.tobytes() for a in (*case.buffers(), case.expected())]
    lengths = [len(a) for a in arrays]
    body = struct.pack("<7I", *lengths) + b"".join(a + bytes(-len(a) % 4) for a in arrays)
    return struct.pack("<I", len(body)) + body


def pack(cases: list[Case]) -> bytes:
    records = [record(case) for case in cases]
    return struct.pack("<4s3I", MAGIC, VERSION, len(records), max(map(len, records)) - 4) + b"".join(records)


def unpack(raw: bytes) -> list[dict[str, np.ndarray | None]]:
    """params int32, the others int8 (requant and b as bytes too), None where a record has no such array."""
    magic, version, count, _ = struct.unpack_from("<4s3I", raw)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError(f"no golden vectors of version {VERSION}")
    found, at = [], 16
    for _ in range(count):
        (length, *lengths) = struct.unpack_from("<8I", raw, at)
        start, vector = at + 32, {}
        for name, n in zip(FIELDS, lengths, strict=True):
            kind = np.int32 if name == "params" else np.int8
            vector[name] = np.frombuffer(raw[start : start + n], kind).copy() if n else None
            start += n + -n % 4
        found.append(vector)
        at += 4 + length
        assert start == at
    assert at == len(raw)
    return found


def spoilt(file: Path, folder: Path) -> Path:
    """A copy in `folder` with another last byte: of the answer of the last record."""
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    path = folder / "spoilt.bin"
    path.write_bytes(raw)
    return path
