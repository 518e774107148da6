"""Fixtures `board` and `board_port`: a test that asks for one runs once on every emulated board.

`pytest --boards unix,qemu-m3` chooses among them; `@pytest.mark.boards("unix")` does so for one test. A board that
cannot start is an error, never a skip: `python3 setup/prepare.py <board>` installs what it needs.
"""

from __future__ import annotations

import gc

import pytest
from harness import emulated
from hypothesis import settings

# Timings are never asserted: a loaded machine fails no test. Under CI, hypothesis takes the same examples every time.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser):
    parser.addoption("--boards", default="", help="emulated boards to test on, by comma; default: all")


def pytest_configure(config):
    config.addinivalue_line("markers", "boards(*names): the emulated boards that this test runs on; default: all")


def pytest_generate_tests(metafunc):
    if "board_name" not in metafunc.fixturenames:
        return
    known = emulated.names()
    chosen = [name for name in metafunc.config.getoption("--boards").split(",") if name]
    marker = metafunc.definition.get_closest_marker("boards")
    for name in [*chosen, *(marker.args if marker else ())]:
        if name not in known:
            raise pytest.UsageError(f"there is no emulated board {name!r}; known are {', '.join(known)}")
    names = [name for name in known if name in (marker.args if marker else known) and name in (chosen or known)]
    metafunc.parametrize("board_name", names, scope="session")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """What shares a board, or a file's fixtures, runs in one process where several share the work (`make test`)."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            params = item.callspec.params if hasattr(item, "callspec") else {}
            item.add_marker(pytest.mark.xdist_group(params.get("board_name", str(item.path))))


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """The board's package collects garbage often, and half a million objects of PyTorch, pytest, and what tests before
    have left are none of its."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def board_pool(tmp_path_factory):
    """All emulated boards of this session, each started when a test first asks for it."""
    pool = emulated.BoardPool(tmp_path_factory.mktemp("boards"))
    yield pool
    pool.stop_all()


@pytest.fixture(autouse=True)
def others_stopped(request, board_pool):
    """An emulator takes half a core while it waits: only the board that the test asks for goes on running."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    board_pool.stop_all(but=params.get("board_name"))


@pytest.fixture
def board_port(board_pool, board_name):
    """The serial port of a running, freshly reset emulated board that nobody has open."""
    return board_pool.fresh_port(board_name)


@pytest.fixture
def board(board_pool, board_name):
    """The same with the port open and the raw REPL entered: see harness.emulated.LiveBoard."""
    live = emulated.LiveBoard(board_name, board_pool.fresh_port(board_name))
    yield live
    live.close()
