"""The native modules on every emulated board, of each of its architectures: on_board.py prints what it prints here."""

import contextlib
from pathlib import Path

import on_board
import pytest
from harness import native
from mpremote.transport import TransportError
from tinylearn_host import boards

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
MODULES = ("tl_infer", "tl_float", "tl_train", "tl_grad", "tl_channels", "tl_filter")
# KB on armv6m: a native module's code lies in RAM, of which a Pico has 264 KB.
LARGEST = {
    "tl_infer": 14,
    "tl_float": 0.875,
    "tl_train": 14,
    "tl_grad": 20,
    "tl_channels": 24.25,
    "tl_filter": 25.5,
}


@pytest.fixture(scope="session")
def modules() -> None:
    """build/native/<arch>/*.mpy for every board's architectures."""
    archs = sorted({arch for board in boards.load_all().values() if board.emulated for arch in archs_of(board)})
    native.build(*archs)


def archs_of(board) -> list[str]:
    return list(board.mpy_archs) or [board.arch]


def test_simulator(simulated):
    """The lines are worth comparing."""
    lines = simulated.splitlines()
    assert "check 0" in lines and lines[-1] == "heap 0 0 0"
    assert len({line.split()[-1] for line in lines if line.startswith("run ") and line.split()[2] == "0"}) > 10
    assert "quantize 0 [-3, -3, -2, 0, -8, 61, -128, -3, 127, -2, -2]" in lines


def afresh(board):
    board.exit_raw_repl()
    board.enter_raw_repl(soft_reset=True)
    board.exec("import sys; sys.path.insert(0, '/')")


@pytest.fixture
def loaded(board, modules, model):
    """Gives loaded(arch): the board, freshly reset, with the modules of that architecture and the tests' files in /."""

    def load(arch):
        for module in MODULES:
            board.load_native(module, arch)
        afresh(board)

    golden = ("replay.py", "forward.bin", "replay_backward.py", "backward.bin")
    files = {"native.tlm": model, **{name: GOLDEN / name for name in golden}}
    try:
        for name, file in files.items():
            board.fs_writefile(f"/{name}", file.read_bytes())
        yield load
    finally:
        for name in (*files, *(f"{module}.mpy" for module in MODULES)):
            with contextlib.suppress(TransportError):
                board.fs_rmfile(f"/{name}")


def test_board_equals_simulator_and_litert(loaded, board, call, simulated):
    source = Path(on_board.__file__).read_text()
    for arch in archs_of(board.spec):
        loaded(arch)
        assert board.run(source + call.format(path="/native.tlm")) == simulated, arch
        count, wrong = board.eval("__import__('replay').run('/forward.bin')")  # what LiteRT answered
        assert count > 100 and wrong == [], arch
        afresh(board)
        count, wrong = board.eval("__import__('replay_backward').run('/backward.bin')")
        assert count > 40 and wrong == [], arch


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_small(modules, module):
    """Who only infers, or teaches no more than a head, pays for no more."""
    assert (boards.paths.NATIVE / "armv6m" / f"{module}.mpy").stat().st_size <= LARGEST[module] * 1024
