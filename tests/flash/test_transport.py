"""Both transports, on a real board's REPL: programs, lines, files, and everything that goes wrong on a cable."""

import hashlib
import os
import random
import time
import tty

import pytest
from tinylearn_host import transport as transports
from tinylearn_host.errors import NO_ANSWER, NO_BOARD, PORT_BUSY, TinylearnError
from tinylearn_host.transport import LINE, TRANSPORTS, BoardError, connect

EVERY_BYTE = bytes(range(256)) * 9 + b"\x01\x02\x03\x04\x05\r\n>" * 20  # what would confuse a raw REPL


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture
def board(board_port, transport):
    with connect(board_port, transport) as board:
        yield board


@pytest.fixture
def silence():
    """A serial port with nobody at the other end; yields (our end, its name)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_exec_gives_what_was_printed(board):
    assert board.exec("print('one')\nprint('two', end='')") == "one\ntwo"
    assert board.exec("x = 1") == ""
    assert board.eval("[x, None, b'\\x03', 'ä']") == [1, None, b"\x03", "ä"]


def test_a_traceback_is_an_error_with_its_last_line(board):
    with pytest.raises(BoardError) as error:
        board.exec("print('before')\n1 / 0")
    assert error.value.exception.startswith("ZeroDivisionError")
    assert board.eval("1 + 1") == 2


def test_a_program_asks_for_lines(board):
    with board.start(
        "import sys\nfor _ in range(3):\n print('?')\n print(sys.stdin.readline().strip() * 2)"
    ) as program:
        heard, words = [], iter([b"ab", b"c", b""])
        for line in program.lines():
            if line == "?":
                program.send(next(words))
            else:
                heard.append(line)
    assert heard == ["abab", "cc", ""]


def test_a_program_that_is_left_is_interrupted(board):
    with board.start("import time\nwhile True: time.sleep(0.01)"):
        pass
    assert board.eval("'alive'") == "alive"


def test_soft_reset_forgets(board):
    board.exec("x = 1")
    board.soft_reset()
    assert board.eval("'x' in globals()") is False


@pytest.mark.parametrize("size", [0, 1, LINE - 1, LINE, LINE + 1, len(EVERY_BYTE)])
def test_files_come_back_as_they_went(board, size):
    data, seen = EVERY_BYTE[:size], []
    board.put("t.bin", data, seen.append)
    assert board.get("t.bin") == data
    assert board.size("t.bin") == size
    assert board.hashes(["t.bin", "absent"]) == [hashlib.sha256(data).hexdigest(), None]
    assert seen == [*range(0, size, LINE), size]
    board.remove("t.bin")
    assert board.size("t.bin") is None


def test_a_board_that_cannot_decode_lines_gets_the_library_s_own_upload(board, monkeypatch):
    real = transports.source
    monkeypatch.setattr(
        transports, "source", lambda name, call: real(name, call=call).replace("a2b_base64", "no_such_name")
    )
    board.put("t.bin", EVERY_BYTE[:300])
    monkeypatch.undo()
    assert board.get("t.bin") == EVERY_BYTE[:300]
    board.remove("t.bin")


def test_a_board_without_hashlib_sends_the_file_back(board, monkeypatch):
    board.put("t.bin", EVERY_BYTE)
    real = transports.source
    monkeypatch.setattr(transports, "source", lambda name, call: real(name, call=call).replace("hashlib", "no_hashlib"))
    assert board.hashes(["t.bin", "absent"]) == [hashlib.sha256(EVERY_BYTE).hexdigest(), None]
    board.remove("t.bin")


def test_folders_and_names(board):
    board.mkdir("t/inner")
    board.mkdir("t/inner")
    board.put("t/inner/a", b"old")
    board.put("t/inner/b", b"new")
    board.rename("t/inner/b", "t/inner/a")
    assert board.listdir("t/inner") == ["a"]
    assert board.get("t/inner/a") == b"new"
    board.remove("t/inner/a")
    board.remove("t/inner/a")
    board.exec("import os\nos.rmdir('t/inner')\nos.rmdir('t')")
    with pytest.raises(BoardError):
        board.get("t/inner/a")


def test_a_busy_repl_is_interrupted(board_port, transport):
    for program in ("while True: pass", "while True: print('busy')", "import time\ntime.sleep(1000)"):
        with connect(board_port) as board:
            board.start(program)  # and leave without a word, as a host that was killed
            board._serial.close()
        with connect(board_port, transport) as board:
            assert board.eval("1 + 1") == 2


def test_a_transfer_that_was_broken_off_leaves_a_board_that_answers(board_port, transport):
    with connect(board_port) as board:
        program = board.start(transports.source("upload", call="upload('t.bin', 1000)"))
        asks = program.requests()
        next(asks)
        program.send(b"AAAA")
        next(asks)
        board._serial.close()
    with connect(board_port, transport) as board:
        assert board.size("t.bin") < 1000
        board.remove("t.bin")


@pytest.mark.parametrize("says", ["", "print(1)"])
def test_a_program_that_ignores_ctrl_c(own_board, says):
    port = own_board("unix").port
    with connect(port) as board:
        board.start(f"import micropython, time\nmicropython.kbd_intr(-1)\nwhile True:\n time.sleep(0.1)\n {says}")
        time.sleep(0.3)
        board._serial.close()
    with pytest.raises(TinylearnError, match="does not stop at Ctrl-C" if says else "nothing answers") as error:
        connect(port)
    assert error.value.exit_code == NO_ANSWER


def test_nobody_answers(silence):
    with pytest.raises(TinylearnError, match=f"nothing answers at {silence[1]}") as error:
        connect(silence[1])
    assert error.value.exit_code == NO_ANSWER


def test_the_port_is_busy(board_port, transport):
    with connect(board_port), pytest.raises(TinylearnError, match="in use by another program") as error:
        connect(board_port, transport)
    assert error.value.exit_code == PORT_BUSY


@pytest.mark.parametrize("name", ["/dev/no-such-port", "socket://127.0.0.1:1", "nonsense://x"])
def test_no_such_port(transport, name):
    with pytest.raises(TinylearnError, match="cannot open") as error:
        connect(name, transport)
    assert error.value.exit_code == NO_BOARD


def test_a_port_may_be_a_url(own_board, transport):
    port = own_board("pico-emulated", "--tcp", "0").port
    assert port.startswith("socket://")
    with connect(port, transport) as board:
        board.put("t.bin", EVERY_BYTE)
        assert board.get("t.bin") == EVERY_BYTE


def test_the_cable_is_pulled(own_board, transport):
    unix = own_board("unix")
    data = random.Random(1).randbytes(20_000)
    with connect(unix.port, transport) as board, pytest.raises(TinylearnError, match="lost the connection") as error:
        board.put("t.bin", data, lambda sent: unix.pull() if 5000 < sent < 5000 + LINE else None)
    assert error.value.exit_code == NO_ANSWER
