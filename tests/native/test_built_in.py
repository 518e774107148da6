"""The native modules linked into a firmware, by make (unix) and by CMake (rp2), do what the loadable ones do."""

import subprocess
import sys
from pathlib import Path

import on_board
import pytest
from mpremote.transport_serial import SerialTransport

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(on_board.__file__).read_text()
pytestmark = pytest.mark.xdist_group("pico-emulated")  # which starts early: a group of few, long tests would end last


def firmware(name: str) -> Path:
    """build/firmware/<name>, built now where it is not up to date."""
    command = [sys.executable, ROOT / "setup" / "prepare.py", "--print-path", name]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def test_unix_by_make(tmp_path, model, call, simulated):
    script = tmp_path / "script.py"
    script.write_text(SOURCE + call.format(path=str(model)))
    command = [firmware("unix-built-in") / "micropython", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == simulated, done.stderr


def test_pico_by_cmake(tmp_path, model, call, simulated):
    start = ROOT / "boards" / "emulators" / "pico" / "start.py"
    command = [sys.executable, start, "--firmware", firmware("pico-built-in"), "--state", tmp_path / "state"]
    emulator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        board = SerialTransport(emulator.stdout.readline().strip(), timeout=30)
        board.enter_raw_repl()
        board.fs_writefile("/native.tlm", model.read_bytes())
        board.exec("import os; assert 'lib' not in os.listdir('/')")  # nothing flashed: the modules are the firmware's
        assert board.exec(SOURCE + call.format(path="/native.tlm")).decode().replace("\r\n", "\n") == simulated
        board.close()
    finally:
        emulator.communicate(timeout=20)  # closes its stdin, which ends it
