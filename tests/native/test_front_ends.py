"""Front ends on every emulated board, of each of its architectures: the same bits as here, where kernels/test_front.py
holds them to float64."""

import contextlib
import io
from pathlib import Path

import front_on_board
import pytest
from mpremote.transport import TransportError
from test_native_modules import archs_of, modules  # noqa: F401
from tinylearn_host import boards, front, simulator

simulator.on_path()
FRONTS = {"h": front.LogMel(), "b": front.Envelope()}


def call(kind: str, path: str) -> str:
    f = FRONTS[kind]
    samples = f.samples * (f.channels if kind == "b" else 1)
    return f"everything({path!r}, {kind!r}, {samples}, {f.frames * f.bins})\n"


@pytest.fixture
def loaded(board, modules):  # noqa: F811
    """Gives loaded(arch): the board, freshly reset, with the modules of that architecture and the sections in /."""

    def load(arch):
        for module in ("tl_infer", "tl_front"):
            board.load_native(module, arch)
        board.exit_raw_repl()
        board.enter_raw_repl(soft_reset=True)
        board.exec("import sys; sys.path.insert(0, '/')")
        return board

    try:
        for kind, f in FRONTS.items():
            board.fs_writefile(f"/{kind}.bin", f.pack())
        yield load
    finally:
        for name in ("h.bin", "b.bin", "tl_infer.mpy", "tl_front.mpy"):
            with contextlib.suppress(TransportError):
                board.fs_rmfile(f"/{name}")


@pytest.fixture(params=FRONTS, ids=["log-mel", "envelope"])
def simulated(request, tmp_path) -> tuple[str, str]:
    """The kind, and what front_on_board.py prints here."""
    (tmp_path / "section").write_bytes(FRONTS[request.param].pack())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(call(request.param, str(tmp_path / "section")), vars(front_on_board))
    return request.param, out.getvalue()


def test_board_equals_simulator(loaded, board, simulated):
    kind, expected = simulated
    assert len({line.split()[-1] for line in expected.splitlines() if line.split()[0] in ("noise", "beep")}) == 6
    for arch in archs_of(board.spec):
        loaded(arch)
        source = Path(front_on_board.__file__).read_text()
        assert board.run(source + call(kind, f"/{kind}.bin")) == expected, arch


def test_the_module_is_small(modules):  # noqa: F811
    assert (boards.paths.NATIVE / "armv6m" / "tl_front.mpy").stat().st_size <= 3.5 * 1024
