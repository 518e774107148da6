"""Flashing a real board: what is sent, what is not, and what is left when it goes wrong."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from serial.tools import list_ports, list_ports_common
from tinylearn_host import cli, errors, flash, paths, tlm
from tinylearn_host.errors import TinylearnError
from tinylearn_host.transport import Transport, connect

from firmware import small_model

SAMPLES = "[(bytes([40 * (n % 3) + n] * 64), n % 3) for n in range(9)]"


def tinylearn(*arguments):
    """Run the command; its result has exit_code, stdout, stderr."""
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model.write(tmp_path_factory.mktemp("model") / "a.tlm")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another model of the same shape."""
    return small_model.write(tmp_path_factory.mktemp("model") / "b.tlm", seed=2)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A model of 60 KB."""
    raw = tlm.build(small_model.graph())
    raw = tlm.build(_with_meta(small_model.graph(), 60 * 1024 - len(raw)))
    path = tmp_path_factory.mktemp("model") / "large.tlm"
    path.write_bytes(raw)
    return path


def _with_meta(graph, nbytes):
    graph.meta["note"] = "".join(chr(c) for c in np.random.default_rng(3).integers(35, 92, nbytes))
    return graph


def test_flash_and_then_adapt_at_the_repl(board_port, model):
    with connect(board_port) as board:
        flash.flash(board, model)
        assert board.get("model.tlm") == model.read_bytes()
        said = board.eval(
            "tinylearn.predict(bytes([41] * 64))", f"import tinylearn\ntinylearn.adapt({SAMPLES})", timeout=60
        )
        board.remove("model.tld.0")  # adapt has saved
        assert said[0] == 1
        assert 1 / 3 < said[1] <= 1
        assert not [name for name in [*board.listdir("lib"), *board.listdir("lib/tinylearn")] if name.endswith(".part")]


def test_only_what_differs_is_sent(board_port, model, other):
    with connect(board_port) as board:
        flash.flash(board, model)
        assert flash.flash(board, model).send == []
        assert [file.path for file in flash.flash(board, other).send] == ["model.tlm"]
        board.put("lib/tinylearn/head.mpy", b"not what it was")
        board.put("lib/tinylearn/model.py", b"raise SystemExit")  # would be imported instead of our model.mpy
        todo = flash.flash(board, other)
        assert [file.path for file in todo.send] == ["lib/tinylearn/head.mpy"]
        assert todo.stale == ["lib/tinylearn/model.py"]
        assert "model.py" not in board.listdir("lib/tinylearn")


@pytest.mark.boards("unix")
def test_heap_is_reckoned_for_what_will_be_loaded(board_port, model):
    """Modules that train the network are sent always, and counted where it is trained."""
    with connect(board_port) as board:
        heads, trains = flash.plan(board, model), flash.plan(board, model, trains=True)
    files = {file.path: len(file.data) for file in (*heads.send, *heads.same)}
    training = [path for path in files if any(path.endswith(f"/{name}.mpy") for name in flash.TRAINING)]
    assert len(training) >= 4
    assert trains.heap_needed - heads.heap_needed == sum(files[path] for path in training)
    assert heads.flash_needed == trains.flash_needed


@pytest.mark.parametrize("transport", ["mpremote", "ampy"])
def test_the_command(board_name, board_port, model, other, transport):
    """Both transports flash; --dry-run sends nothing; --json is one object."""
    where = ("--board", board_name, "--port", board_port, "--transport", transport, "--json")
    first = json.loads(tinylearn("flash", model, *where).stdout)
    assert first["dry_run"] is False
    assert first["port"] == board_port
    dry = json.loads(tinylearn("flash", other, *where, "--dry-run").stdout)
    assert list(dry["sent"]) == ["model.tlm"]
    with connect(board_port) as board:
        assert board.get("model.tlm") == model.read_bytes()


def test_60_kb_in_20_s_of_the_board_s_own_time(board_port, large):
    with connect(board_port) as board:
        board.remove("model.tlm")
        start = board.eval("time.ticks_ms()", "import time")
        todo = flash.plan(board, large)
        assert todo.bytes >= 60 * 1024
        flash.carry_out(board, todo)
        assert board.eval(f"time.ticks_diff(time.ticks_ms(), {start})", "import time") < 20_000


@pytest.mark.boards("unix", "pico-emulated")
def test_the_cable_is_pulled_while_the_model_is_sent(own_board, board_name, model, large):
    board = own_board(board_name)
    with connect(board.port) as link:
        flash.flash(link, model)

    def pull(what, sent, size):
        if sent > size // 2:  # only the model is sent
            board.pull()

    with connect(board.port) as link, pytest.raises(TinylearnError, match="lost the connection") as error:
        flash.flash(link, large, pull)
    assert error.value.exit_code == errors.NO_ANSWER

    board.start()
    with connect(board.port) as link:
        assert link.get("model.tlm") == model.read_bytes()
        assert link.eval("tinylearn.load().predict(bytes(64))[0]", "import tinylearn") in small_model.LABELS
        flash.flash(link, large)
        assert link.get("model.tlm") == large.read_bytes()


@pytest.mark.boards("unix")
def test_what_arrives_damaged_is_not_kept(board_port, model, other, monkeypatch):
    put = Transport.put

    def damage(self, path, data, progress):
        put(self, path, data[:-1] + bytes([data[-1] ^ 1]), progress)

    with connect(board_port) as board:
        flash.flash(board, model)
        monkeypatch.setattr(Transport, "put", damage)
        with pytest.raises(TinylearnError, match="SHA-256 differs") as error:
            flash.flash(board, other)
        assert error.value.exit_code == errors.VERIFY_FAILED
        assert board.get("model.tlm") == model.read_bytes()
        assert board.size("model.tlm.part") is None


@pytest.mark.boards("unix")
def test_a_damaged_model_is_refused_before_anything_is_sent(board_name, board_port, model, tmp_path):
    bad = tmp_path / "bad.tlm"
    bad.write_bytes(model.read_bytes()[:-5])
    result = tinylearn("flash", bad, "--board", board_name, "--port", board_port)
    assert result.exit_code == errors.BAD_MODEL
    assert str(bad) in result.stderr


def test_too_little_heap(own_board, model):
    small = own_board("unix", "--heap", "49152")
    with connect(small.port) as board:
        todo = flash.plan(board, model)
        result = tinylearn("flash", model, "--board", "unix", "--port", small.port)  # in use: the plan has its own link
        assert result.exit_code == errors.PORT_BUSY
        with pytest.raises(TinylearnError, match="too little") as error:
            todo.check()
        assert error.value.exit_code == errors.NOT_ENOUGH_RAM
        assert flash.kb(todo.heap_needed - todo.device.heap_free) in str(error.value)
        assert board.listdir() == ["rom"]  # nothing was sent
    assert tinylearn("flash", model, "--board", "unix", "--port", small.port).exit_code == errors.NOT_ENOUGH_RAM


FILL = """
import os
block, free = os.statvfs("/")[1], os.statvfs("/")[3]
with open("ballast", "wb") as f:
    for _ in range(free - 12):
        f.write(bytes(block))
"""


@pytest.mark.boards("qemu-m3", "pico-emulated")
def test_too_little_flash(board_name, board_port, large, model):
    with connect(board_port) as board:
        flash.flash(board, model)
        try:
            board.exec(FILL, timeout=60)
            board.soft_reset()
            todo = flash.plan(board, large)
            with pytest.raises(TinylearnError, match="of flash free") as error:
                todo.check()
            assert error.value.exit_code == errors.NOT_ENOUGH_FLASH
            assert flash.kb(todo.flash_needed - todo.device.flash_free) in str(error.value)
            with pytest.raises(TinylearnError, match="became full") as error:  # had the board lied about what is free
                flash.carry_out(board, todo)
            assert error.value.exit_code == errors.NOT_ENOUGH_FLASH
            assert board.get("model.tlm") == model.read_bytes()
            assert board.size("model.tlm.part") is None
        finally:
            board.remove("ballast")
    result = tinylearn("flash", model, "--board", board_name, "--port", board_port)
    assert result.exit_code == 0, result.output


@pytest.fixture
def only(tmp_path, monkeypatch):
    """only("armv7m"): native modules are built for these architectures and no others."""

    def choose(*architectures):
        for name in architectures:
            shutil.copytree(paths.NATIVE / name, tmp_path / name, ignore=shutil.ignore_patterns("*.objects"))
        monkeypatch.setattr(paths, "NATIVE", tmp_path)

    return choose


@pytest.mark.boards("unix", "qemu-m4", "pico-emulated")
def test_the_wrong_architecture(board_name, board_port, model, only):
    only("rv32imc")
    result = tinylearn("flash", model, "--board", board_name, "--port", board_port)
    assert result.exit_code == errors.WRONG_ARCHITECTURE
    assert "there are rv32imc" in result.stderr


@pytest.mark.boards("unix")
def test_half_of_the_modules(board_port, model, only):
    only("x64", "rv32imc")
    (paths.NATIVE / "x64" / "tl_grad.mpy").unlink()
    result = tinylearn("flash", model, "--board", "unix", "--port", board_port)
    assert result.exit_code == errors.WRONG_ARCHITECTURE
    assert "x64 lacks tl_grad." in result.stderr


@pytest.mark.boards("qemu-m4")
@pytest.mark.parametrize(("built", "taken"), [(("armv6m", "armv7m"), "armv7m"), (("armv6m",), "armv6m")])
def test_the_next_best_architecture(board_port, model, only, built, taken):
    only(*built)
    with connect(board_port) as board:
        assert flash.flash(board, model).code == taken
        assert board.eval("tinylearn.load().predict(bytes(64))[0]", "import tinylearn") in small_model.LABELS


def _plugged_in(monkeypatch, *ports):
    """What the system says of its ports when a Pico is behind each of these."""
    infos = []
    for port in ports:
        info = list_ports_common.ListPortInfo(port)
        info.vid, info.pid = 0x2E8A, 0x0005
        infos.append(info)
    monkeypatch.setattr(list_ports, "comports", lambda: infos)


def test_no_board(monkeypatch, model):
    _plugged_in(monkeypatch)
    result = tinylearn("flash", model, "--board", "pico")
    assert result.exit_code == errors.NO_BOARD
    assert "2E8A:0005" in result.stderr


def test_two_boards(monkeypatch, own_board, tmp_path, model):
    """Two plugged-in boards of one kind: none is chosen; named by its port, that one alone is flashed."""
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path / "one"))
    one = own_board("unix")
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path / "two"))
    two = own_board("unix")
    _plugged_in(monkeypatch, one.port, two.port)
    result = tinylearn("flash", model, "--board", "pico")
    assert result.exit_code == errors.SEVERAL_BOARDS
    assert one.port in result.stderr
    assert two.port in result.stderr
    assert tinylearn("flash", model, "--board", "pico", "--port", two.port).exit_code == 0
    for board, flashed in ((one, False), (two, True)):
        with connect(board.port) as link:
            assert ("model.tlm" in link.listdir()) is flashed
    _plugged_in(monkeypatch, one.port)
    assert tinylearn("flash", model, "--board", "pico").exit_code == 0  # one only: it is found


def test_there_is_no_such_board(model):
    assert tinylearn("flash", model, "--board", "toaster").exit_code == errors.USAGE
    assert tinylearn("flash", model, "--board", "sim").exit_code == errors.USAGE


@pytest.mark.parametrize("flags", [(), ("-S",)])
def test_straight_from_a_clone(flags, model, tmp_path):
    """host/flash.py with any Python: one without the packages (-S hides them) takes the clone's .venv."""
    command = [sys.executable, *flags, paths.ROOT / "host" / "flash.py", model, "--board", "unix", "--json"]
    environment = {**os.environ, "TINYLEARN_STATE": str(tmp_path)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "model.tlm" in json.loads(result.stdout)["sent"]
    assert (tmp_path / "unix" / "files" / "model.tlm").read_bytes() == model.read_bytes()
