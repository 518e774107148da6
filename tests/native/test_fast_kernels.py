"""Fast variants of operators give the plain kernels' bits, whatever the shape, and stay in their scratch."""

from pathlib import Path

import fast
import fast_cases
import numpy as np
import pytest
from harness import native
from tinylearn_host import variants

COUNT, ON_BOARDS = 320, 120  # calls; a serial port is slow
# The Cortex-M3 of QEMU is a much faster Cortex-M0+ than the emulated Pico.
ARCHS = {"qemu-m3": ("armv7m", "armv6m"), "qemu-m4": ("armv7emsp",), "qemu-rv32": ("rv32imc",)}


@pytest.fixture(scope="module")
def calls():
    return fast_cases.calls(seed=1, count=COUNT)


def test_calls_are_worth_comparing(calls):
    kinds = {(call.code, call.variant, call.scratch > 0, call.start is not None) for call in calls}
    assert len(kinds) == 9, "conv2d 1 and 2, depthwise 1 and 2 with scratch and without, dense with and without, add"
    assert sum(len(set(call.run(0))) > 2 for call in calls) > COUNT / 2


def test_variants_on_this_machine(calls, tmp_path):
    file = tmp_path / "fast.bin"
    file.write_bytes(b"".join(call.record() for call in calls))
    assert fast.run(file) == (COUNT, [])


@pytest.fixture
def records(board, calls):
    """The calls in a file of the board, and the program that replays them."""
    board.fs_writefile("/fast.py", Path(fast.__file__).read_bytes())
    board.fs_writefile("/fast.bin", b"".join(call.record() for call in calls[:ON_BOARDS]))
    yield
    for name in ("fast.py", "fast.bin", "tl_infer.mpy"):
        board.fs_rmfile(f"/{name}")


@pytest.mark.boards(*ARCHS)
def test_variants_on_boards(board, records):
    for arch in ARCHS[board.spec.name]:
        native.build(arch)
        board.load_native("tl_infer", arch)
        board.exit_raw_repl()
        board.enter_raw_repl(soft_reset=True)
        board.exec("import sys; sys.path.insert(0, '/')")
        assert board.run("import fast; print(fast.run('/fast.bin'))") == f"({ON_BOARDS}, [])\n", arch


@pytest.mark.parametrize("zero", [-128, 3, 127])
def test_small_means_below_two_to_the_20(zero):
    """The worst input's sum is 2^20 - 1: small; with a bias of one more it is not, nor with a shift out of reach."""
    w = np.random.default_rng(0).integers(-127, 128, (1, 40))
    worst = int((w * (np.where(w > 0, 127, -128) - zero)).sum())
    least = int((w * (np.where(w > 0, -128, 127) - zero)).sum())

    def small(bias: int, mult: int, shift: int) -> bool:
        return variants.is_small(w, np.array([bias]), zero, np.array([mult]), np.array([shift]))

    for mult, shift, reach in ((2**30 + 1, -6, 2**20), (2**30 - 4, 0, 2**19)):
        assert small(reach - 1 - worst, mult, shift) and not small(reach - worst, mult, shift)
        assert small(-reach + 1 - least, mult, shift) and not small(-reach - least, mult, shift)
    assert not any(small(0, mult, shift) for mult, shift in ((2**30, 0), (2**20 + 2, 0), (2**30, -14), (2**30, 1)))
