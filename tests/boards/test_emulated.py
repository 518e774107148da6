"""Every emulated board is a board: it boots, answers, keeps bytes intact, runs native code, and goes away cleanly."""

from __future__ import annotations

import binascii
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.emulated import LiveBoard
from mpremote.transport import TransportExecError
from tinylearn_host import boards

MPY_ARCHS = [
    None,
    "x86",
    "x64",
    "armv6",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
]
MPY_ARCHS += ["rv32imc", "rv64imc"]
RUNS_AS = {"armv7em": "armv7m"}  # a Cortex-M3 calls itself armv7em, and native modules for it are built as armv7m

ECHO = """
import micropython, sys
micropython.kbd_intr(-1)
sys.stdout.write("ready")
sys.stdout.buffer.write(sys.stdin.buffer.read({size}))
micropython.kbd_intr(3)
"""


def test_runs_programs(board):
    assert board.run("print(sum(range(10)))") == "45\n"
    assert board.eval("[1, 2] + [3]") == [1, 2, 3]


def test_errors_come_back_as_tracebacks(board):
    with pytest.raises(TransportExecError, match="ZeroDivisionError"):
        board.exec("1 // 0")


def test_is_what_its_file_says(board):
    mpy = board.eval("__import__('sys').implementation._mpy")
    assert (mpy & 0xFF, mpy >> 8 & 3) == (6, 3)
    arch = MPY_ARCHS[mpy >> 10 & 0x0F]
    assert RUNS_AS.get(arch, arch) == board.spec.arch
    board.exec("import gc, os; gc.collect()")
    free = board.eval("gc.mem_free()")
    assert 0.9 * board.spec.heap_bytes < free + board.eval("gc.mem_alloc()") <= 1.1 * board.spec.heap_bytes


def test_has_what_tinylearn_uses(board):
    board.exec("import binascii, hashlib, os, time, array, struct")
    digest = board.eval("binascii.hexlify(hashlib.sha256(b'abc').digest())")
    assert digest.startswith(b"ba7816bf")
    block, _, _, free, *_ = board.eval("os.statvfs('/')")
    assert block * free > 200_000


@pytest.mark.boards("qemu-m3", "qemu-m4", "qemu-rv32", "pico-emulated")
def test_its_flash_has_the_size_that_its_file_says(board):
    board.exec("import os")
    block, _, blocks, *_ = board.eval("os.statvfs('/')")
    assert block * blocks == board.spec.flash_bytes


def test_its_clock_runs(board):
    elapsed = board.run(
        "import time\nt = time.ticks_ms()\ntime.sleep_ms(50)\nprint(time.ticks_diff(time.ticks_ms(), t))"
    )
    assert 49 <= int(elapsed) < 200


def test_every_byte_passes_both_ways(board):
    data = bytes(range(256)) * 16
    board.exec_raw_no_follow(ECHO.format(size=len(data)))
    assert board.read_until(1, b"ready", timeout=20).endswith(b"ready")
    received = b""
    for start in range(0, len(data), 128):
        board.serial.write(data[start : start + 128])
    while len(received) < len(data):
        chunk = board.serial.read(min(256, len(data) - len(received)))
        assert chunk, f"only {len(received)} of {len(data)} bytes came back"
        received += chunk
    assert received == data
    assert board.follow(20) == (b"", b"")


def test_files_stay_over_a_reset(board):
    data = os.urandom(5000)
    board.fs_writefile("/kept.bin", data)
    board.exit_raw_repl()
    board.enter_raw_repl(soft_reset=True)
    assert board.fs_readfile("/kept.bin") == data
    board.fs_rmfile("/kept.bin")


def test_runs_native_modules_of_every_architecture_it_claims(board):
    for arch in board.spec.mpy_archs:
        board.load_native("tl_infer", arch)
        assert int(board.run("import tl_infer\nprint(tl_infer.crc32(b'123456789') & 0xffffffff)")) == binascii.crc32(
            b"123456789"
        ), arch
        board.exit_raw_repl()
        board.enter_raw_repl(soft_reset=True)
    board.fs_rmfile("/tl_infer.mpy")


@pytest.mark.parametrize(
    "program", ["while True:\n    pass", "import time\ntime.sleep(60)", "import sys\nsys.stdin.read(1)"]
)
def test_ctrl_c_stops_a_program(board, program):
    board.exec_raw_no_follow(program)
    time.sleep(0.5)
    board.serial.write(b"\x03")
    output, error = board.follow(20)
    assert output == b""
    assert b"KeyboardInterrupt" in error
    assert board.eval("1 + 1") == 2


def test_soft_reset_forgets_globals(board):
    board.exec("remembered = 1")
    board.exit_raw_repl()
    board.enter_raw_repl(soft_reset=False)
    assert board.eval("remembered") == 1
    board.exit_raw_repl()
    board.enter_raw_repl(soft_reset=True)
    with pytest.raises(TransportExecError, match="NameError"):
        board.eval("remembered")


def test_a_person_can_type(board):
    board.exit_raw_repl()
    board.serial.write(b"for i in range(2):\rprint('line', i)\r\r\r\r")
    assert board.read_until(1, b"line 1\r\n", timeout=20).endswith(b"line 0\r\nline 1\r\n")
    board.enter_raw_repl(soft_reset=False)


def _processes_of(state: Path) -> list[str]:
    """Command lines of running processes that name the folder `state`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(state) in command:
            found.append(command)
    return found


def _gone(state: Path, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while _processes_of(state) and time.monotonic() < end:
        time.sleep(0.05)
    return not _processes_of(state)


@pytest.mark.parametrize("how", ["stdin closes", "SIGTERM", "SIGKILL"])
def test_leaves_nothing_behind(board_name, how, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path))
    emulator = subprocess.Popen(
        boards.find(board_name).command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    port = emulator.stdout.readline().strip()
    LiveBoard(board_name, port).close()
    assert _processes_of(tmp_path)
    if how == "stdin closes":
        emulator.stdin.close()
    else:
        emulator.send_signal(getattr(signal, how))
    emulator.wait(10)
    assert _gone(tmp_path), _processes_of(tmp_path)
    emulator.stdout.close()


def test_two_cannot_share_one_flash(board_pool, board_name, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path))
    with boards.opened(board_name):
        with pytest.raises(boards.TinylearnError, match="already running") as refused, boards.opened(board_name):
            pass
        assert refused.value.exit_code == 3


def test_flash_survives_the_emulator(board_name, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path))
    data = os.urandom(3000)
    with boards.opened(board_name) as port:
        live = LiveBoard(board_name, port)
        live.fs_writefile("/survivor.bin", data)
        live.close()
    with boards.opened(board_name) as port:
        live = LiveBoard(board_name, port)
        assert live.fs_readfile("/survivor.bin") == data
        live.close()
