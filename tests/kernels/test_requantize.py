"""Requantisation with a 64-bit product and with 16-bit halves (Cortex-M0+): both are what docs/SPEC.md says."""

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tinylearn_host import paths

MAX, MIN = 2**31 - 1, -(2**31)
EDGES = [0, 1, 2, 3, 32767, 32768, 65535, 65536, 65537, 2**30 - 1, 2**30, 2**30 + 1, MAX - 1, MAX]
SIGNED = sorted({*EDGES, *(-e for e in EDGES), MIN, MIN + 65535})


@pytest.fixture(scope="module", params=["one product of 64 bits", "four products of 32 bits"])
def library(request, tmp_path_factory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("requantize") / "requantize.so"
    split = request.param.startswith("four")
    source = Path(__file__).with_name("requantize.c")
    kernels = paths.ROOT / "native_modules" / "kernels"
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    # Overflow would be undefined behaviour: trap on it.
    flags += ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", f"-DTL_SPLIT_MULTIPLY={int(split)}"]
    subprocess.run([shutil.which("cc") or "gcc", *flags, f"-I{kernels}", "-o", target, source], check=True)
    return ctypes.CDLL(str(target))


def call(function, result: type, *columns) -> np.ndarray:
    columns = [np.ascontiguousarray(column) for column in columns]
    y = np.zeros(len(columns[0]), result)
    function(len(y), *(ctypes.c_void_p(column.ctypes.data) for column in [*columns, y]))
    return y


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of edges, and 100 000 at random of all magnitudes, int32."""
    rng = np.random.default_rng(seed)
    edges = np.array(list(itertools.product(SIGNED, SIGNED)), np.int64)
    drawn = rng.integers(MIN, MAX + 1, (100000, 2)) >> rng.integers(0, 31, (100000, 2))
    both = np.concatenate([edges, drawn])
    both = both[~np.all(both == MIN, axis=1)]
    return both[:, 0].astype(np.int32), both[:, 1].astype(np.int32)


def high(a: int, b: int) -> int:
    return (a * b + (1 << 30)) >> 31


def requantize(acc: int, mult: int, shift: int) -> int:
    """docs/SPEC.md, word by word."""
    h = high((((acc << max(shift, 0)) + 2**31) % 2**32) - 2**31, mult)
    right = max(-shift, 0)
    return (1 if h >= 0 else -1) * ((abs(h) + ((1 << right) >> 1)) >> right)


def test_high_multiply(library):
    a, b = pairs(1)
    expected = [high(int(p), int(q)) for p, q in zip(a, b, strict=True)]
    np.testing.assert_array_equal(call(library.high_multiply, np.int32, a, b), expected)


def test_wide_multiply(library):
    a, b = (column.view(np.uint32) for column in pairs(2))
    np.testing.assert_array_equal(call(library.wide_multiply, np.uint64, a, b), a.astype(np.uint64) * b)


def test_requantize(library):
    acc, mult = pairs(3)
    mult = np.abs(mult.astype(np.int64)).clip(0, MAX).astype(np.int32)
    shift = np.random.default_rng(4).integers(-31, 31, len(acc)).astype(np.int32)
    shift[: len(SIGNED) ** 2] = np.resize(np.arange(-31, 31), len(SIGNED) ** 2)
    expected = [requantize(*(int(v) for v in row)) for row in zip(acc, mult, shift, strict=True)]
    np.testing.assert_array_equal(call(library.requantize, np.int32, acc, mult, shift), expected)
