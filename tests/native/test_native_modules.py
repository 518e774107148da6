"""The native modules on every emulated board, of each of its architectures: on_board.py prints what it prints here."""

import contextlib
import io
import subprocess
from pathlib import Path

import on_board
import pytest
from examples import every_operator_file
from tinylearn_host import boards, tlm

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("tl_infer", "tl_train")


@pytest.fixture(scope="session")
def modules() -> None:
    """build/native/<arch>/*.mpy for every board's architectures."""
    archs = sorted({arch for board in boards.load_all().values() if board.emulated for arch in archs_of(board)})
    subprocess.run(["make", "-s", "-C", ROOT / "native_modules", "native", f"ARCHS={' '.join(archs)}"], check=True)


def archs_of(board) -> list[str]:
    return list(board.mpy_archs) or [board.arch]


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "native.tlm"
    path.write_bytes(every_operator_file())
    return path


def arguments(model: Path) -> tuple[int, int, int]:
    parsed = tlm.read(model)
    assert parsed.tensors[parsed.input].place == 0
    return parsed.tensors[parsed.input].bytes, parsed.arena, len(parsed.ops)


@pytest.fixture(scope="session")
def simulated(model) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        on_board.everything(model, *arguments(model))
    return out.getvalue()


def test_simulator(simulated):
    """The lines are worth comparing."""
    lines = simulated.splitlines()
    assert "check 0" in lines and lines[-1] == "heap 0 0 0"
    assert len({line.split()[-1] for line in lines if line.startswith("run ") and line.split()[2] == "0"}) > 10
    assert "quantize 0 [-3, -3, -2, 0, -8, 61, -128, -3, 127, -2, -2]" in lines


def test_board_equals_simulator(board, modules, model, simulated):
    source = Path(on_board.__file__).read_text()
    call = "everything('/native.tlm', {}, {}, {})".format(*arguments(model))
    board.fs_writefile("/native.tlm", model.read_bytes())
    try:
        for arch in archs_of(board.spec):
            for module in MODULES:
                board.load_native(module, arch)
            board.exit_raw_repl()
            board.enter_raw_repl(soft_reset=True)
            board.exec("import sys; sys.path.insert(0, '/')")
            assert board.run(f"{source}\n{call}\n") == simulated, arch
    finally:
        for name in ("native.tlm", "tl_infer.mpy", "tl_train.mpy"):
            with contextlib.suppress(Exception):
                board.fs_rmfile(f"/{name}")
