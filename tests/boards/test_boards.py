"""Board files, and how the host tool finds the one that is meant."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import serial.tools.list_ports_common
from tinylearn_host import boards
from tinylearn_host.errors import NO_BOARD, SEVERAL_BOARDS, USAGE, TinylearnError

REQUIRED = {"unix", "pico-emulated", "pico", "pico2", "esp32c3", "qemu-m3", "qemu-m4", "qemu-rv32"}


def plug_in(monkeypatch, *devices: tuple[str, int, int]) -> None:
    """Make this machine have these serial ports and no others: (device, vendor id, product id)."""
    ports = []
    for device, vid, pid in devices:
        port = serial.tools.list_ports_common.ListPortInfo(device)
        port.vid, port.pid = vid, pid
        ports.append(port)
    monkeypatch.setattr(boards.list_ports, "comports", lambda: ports)


def test_all_files_load():
    known = boards.load_all()
    assert set(known) >= REQUIRED
    for name, board in known.items():
        assert board.mpy_archs[0] == board.arch, name
        assert 0 < board.heap_bytes <= board.ram_bytes, name
        assert ("prepare" in board.firmware) == board.emulated, name
        assert board.emulated or board.serial["usb"], name


def test_unknown_board_names_those_there_are():
    with pytest.raises(TinylearnError, match=r"'picp'.*pico-emulated") as refused, boards.opened("picp"):
        pass
    assert refused.value.exit_code == USAGE


def test_real_board_is_found_by_its_usb_id(monkeypatch):
    plug_in(monkeypatch, ("/dev/ttyUSB0", 0x0403, 0x6001), ("/dev/ttyACM3", 0x2E8A, 0x0005))
    with boards.opened("pico") as port:
        assert port == "/dev/ttyACM3"


def test_no_board(monkeypatch):
    plug_in(monkeypatch, ("/dev/ttyUSB0", 0x0403, 0x6001), ("/dev/ttyS0", None, None))
    with pytest.raises(TinylearnError, match="--port") as refused, boards.opened("pico"):
        pass
    assert refused.value.exit_code == NO_BOARD


def test_two_boards_are_named_and_none_is_chosen(monkeypatch):
    plug_in(monkeypatch, ("/dev/ttyACM0", 0x2E8A, 0x0005), ("/dev/ttyACM1", 0x2E8A, 0x0005))
    with pytest.raises(TinylearnError, match=r"/dev/ttyACM0, /dev/ttyACM1.*--port") as refused, boards.opened("pico"):
        pass
    assert refused.value.exit_code == SEVERAL_BOARDS


def test_a_named_port_is_taken_as_it_is(monkeypatch):
    plug_in(monkeypatch, ("/dev/ttyACM0", 0x2E8A, 0x0005), ("/dev/ttyACM1", 0x2E8A, 0x0005))
    with boards.opened("pico", "/dev/ttyACM1") as port:
        assert port == "/dev/ttyACM1"


@pytest.mark.parametrize("program", ["exit('out of order')", "print('out of order', file=open(2, 'w'))"])
def test_emulator_that_does_not_start_says_why(monkeypatch, tmp_path, program):
    broken = replace(boards.find("unix"), name="broken", serial={"command": [sys.executable, "-c", program]})
    monkeypatch.setattr(boards, "find", lambda name: broken)
    monkeypatch.setattr(boards.Board, "missing", lambda self: [])
    with pytest.raises(TinylearnError, match="broken did not start: out of order") as refused, boards.opened("broken"):
        pass
    assert refused.value.exit_code == NO_BOARD


def test_missing_firmware_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(boards.paths, "BUILD", tmp_path)
    with pytest.raises(TinylearnError, match=r"setup/prepare.py unix") as refused, boards.opened("unix"):
        pass
    assert refused.value.exit_code == NO_BOARD
    row = next(row for row in boards.status() if row["name"] == "unix")
    assert not row["ready"] and row["missing"] == ["its firmware"]
