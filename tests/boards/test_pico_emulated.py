"""The emulated Pico as the host tool and its user see it: a serial port, files that last, resets, power cuts."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from pico import started


def sha256_on_board(path: str) -> str:
    digest = f"hashlib.sha256(open({path!r}, 'rb').read()).digest()"
    return f"import hashlib, binascii; print(binascii.hexlify({digest}).decode())"


def test_boots_the_stock_firmware(pico):
    assert "Raspberry Pi Pico with RP2040" in pico.run("import sys; print(sys.implementation)")
    assert pico.run("import sys; print(sys.implementation._mpy >> 10 & 15)") == "4\n"  # armv6m
    assert 235_000 < int(pico.run("import gc; gc.collect(); print(gc.mem_free())")) < 245_000


def test_file_of_50_kb_arrives_and_survives_restarts(tmp_path):
    data = random.Random(1).randbytes(50_000)
    expected = hashlib.sha256(data).hexdigest() + "\n"
    with started(tmp_path) as pico:
        with pico.repl() as transport:
            transport.fs_writefile("model.bin", data)
        assert pico.run(sha256_on_board("model.bin")) == expected
        with pico.control() as control:
            control.reset()
            control.wait_until_up()
        assert pico.run(sha256_on_board("model.bin")) == expected
    with started(tmp_path) as pico:
        assert pico.run(sha256_on_board("model.bin")) == expected


def test_a_new_firmware_keeps_the_files(tmp_path):
    with started(tmp_path) as pico:
        pico.run("with open('kept', 'w') as f: f.write('here')")
        assert pico.stop() == 0
    flash = tmp_path / "flash.bin"
    image = bytearray(flash.read_bytes())
    firmware = bytes(image[:4096])
    image[:4096] = bytes(4096)  # as if another build had been here
    flash.write_bytes(image)
    with started(tmp_path) as pico:
        assert pico.run("print(open('kept').read())") == "here\n"
    assert flash.read_bytes()[:4096] == firmware


def test_line_is_binary_clean_both_ways(pico):
    data = bytes(range(256)) * 64
    with pico.repl() as transport:
        transport.exec_raw_no_follow(
            "import sys, micropython\n"
            "micropython.kbd_intr(-1)\n"
            f"data = sys.stdin.buffer.read({len(data)})\n"
            "sys.stdout.buffer.write(data)\n"
            "micropython.kbd_intr(3)\n"
        )
        transport.serial.write(data)
        answer = b""
        while len(answer) < len(data) + 1:
            answer += transport.serial.read(1)
        assert answer.startswith(data)


def test_slow_reader_loses_nothing(pico):
    lines = 4000
    with pico.repl() as transport:
        transport.exec_raw_no_follow(f"for i in range({lines}): print('%040d' % i)")
        time.sleep(0.4)  # the board has to wait, less than the firmware's own time-out of 500 ms
        output = b""
        while not output.endswith(b"\x04\x04>"):
            output += transport.serial.read(1)
    assert output.split(b"\x04")[0].split() == [b"%040d" % i for i in range(lines)]


def test_one_program_at_a_time(pico):
    with pico.repl(), pytest.raises(TransportError, match="failed to access"):
        SerialTransport(pico.port, wait=0)


def test_as_a_tcp_port(tmp_path):
    """For programs elsewhere: the same line on a socket, which a reset breaks, as unplugging breaks a USB port."""
    with started(tmp_path, "--tcp", "0") as pico, pico.control() as control:
        assert pico.run("print(1 + 1)") == "2\n"
        with pico.repl():
            host, port = pico.port.removeprefix("socket://").split(":")
            with socket.create_connection((host, int(port)), 5) as second:
                second.settimeout(5)
                assert second.recv(1) == b""
        with pico.running("import machine; machine.reset()") as transport, pytest.raises(serial.SerialException):
            transport.serial.read(1000)
        control.wait_until_up()
        assert pico.run("print(1 + 1)") == "2\n"


def test_same_program_takes_the_same_cycles(pico):
    """Exactly, as long as nothing comes or goes over USB in between: so what is measured is printed at the end."""
    code = (
        "import machine, time\n"
        "def work():\n"
        "    total = 0\n"
        "    for i in range(2000): total += i * i % 7\n"
        "    return total\n"
        "def measured():\n"
        "    start = machine.mem32[0x4f000000]; work(); return machine.mem32[0x4f000000] - start & 0xffffffff\n"
        "time.sleep_ms(20)\n"
        "cycles = [measured(), measured(), measured()]\n"
        "print(*cycles)\n"
    )
    first, second = pico.run(code), pico.run(code)
    assert first == second
    cycles = [int(word) for word in first.split()]
    assert len(set(cycles)) == 1 and 500_000 < cycles[0] < 3_000_000


def test_ticks_follow_emulated_time(pico):
    """At 125 MHz a microsecond is 125 cycles, and a sleep takes as long as it says."""
    code = (
        "import machine, time\n"
        "c, t = machine.mem32[0x4f000000], time.ticks_us()\n"
        "for i in range(20000): pass\n"
        "print(machine.mem32[0x4f000000] - c, time.ticks_diff(time.ticks_us(), t))\n"
        "t = time.ticks_ms(); time.sleep_ms(250); print(time.ticks_diff(time.ticks_ms(), t))\n"
    )
    started_at = time.monotonic()
    cycles, microseconds, slept = map(int, pico.run(code).split())
    assert abs(cycles / 125 - microseconds) < 50
    assert 250 <= slept <= 252
    assert time.monotonic() - started_at >= 0.25


def test_soft_reset(pico):
    with pico.repl() as transport:
        transport.exec("x = 1")
        transport.enter_raw_repl(soft_reset=True)
        with pytest.raises(TransportError, match="NameError"):
            transport.exec("x")


@pytest.mark.parametrize("how", ["machine.reset()", "machine.WDT(timeout=100)\nwhile True: pass"], ids=["reset", "wdt"])
def test_board_comes_back_after(pico, how):
    with pico.control() as control:
        resets = control.status()["resets"]
        with pico.running(f"import machine\n{how}"):
            wait_for(lambda: control.status()["resets"] == resets + 1)
        control.wait_until_up()
    assert pico.run("import machine; print(machine.reset_cause() == machine.WDT_RESET)") == "True\n"


def wait_for(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_boot_loader_ends_the_emulation_with_a_word(tmp_path):
    with started(tmp_path) as pico, pico.running("import machine; machine.bootloader()"):
        assert pico.process.wait(10) == 3
        assert "BOOTSEL" in pico.process.stderr.read()


def test_fault_ends_the_emulation_with_a_word(tmp_path):
    code = "import uctypes; print(uctypes.bytearray_at(0x30000000, 4)[0])"
    with started(tmp_path) as pico, pico.running(code):
        assert pico.process.wait(10) == 3
        assert "HardFault: read at 0x30000000, where nothing is" in pico.process.stderr.read()


# The end of the emulator


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, None], ids=["SIGTERM", "SIGKILL", "stdin"])
def test_nothing_is_left_behind(tmp_path, end):
    with started(tmp_path, "--tcp", "0") as pico:
        host, port = pico.port.removeprefix("socket://").split(":")
        if end is None:
            assert pico.stop() == 0
        else:
            pico.process.send_signal(end)
            assert pico.process.wait(10) == (0 if end == signal.SIGTERM else -end)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), 1)
        left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True).stdout.split()
        assert left == []


def test_ends_when_its_parent_is_killed(tmp_path):
    """A test runner that dies takes the board with it, because its end of the pipe closes."""
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import pico, time, pathlib\n"
    code += f"p = pico.Pico(pathlib.Path({str(tmp_path)!r})); print(p.process.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        emulator = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not os.path.exists(f"/proc/{emulator}"):
            return
        time.sleep(0.05)
    os.kill(emulator, signal.SIGKILL)
    raise AssertionError("the emulator outlived its parent")


def test_second_emulator_on_the_same_flash_is_refused(pico):
    with pytest.raises(AssertionError, match="already running"), started(pico.state):
        pass


# Power cuts

WRITE = "with open('delta', 'wb') as f: f.write(b'%c' * 9000)"
READ = "d = open('delta', 'rb').read(); print(len(d), len(set(d)), chr(d[0]))"


def test_killed_while_writing_leaves_the_old_file_or_the_new(tmp_path):
    with started(tmp_path) as pico:
        pico.run(WRITE % "a")
    for delay in (0.1, 0.12, 0.15):
        code = "while True:\n " + WRITE % "b" + "\n " + WRITE % "a"
        with started(tmp_path) as pico, pico.running(code):
            time.sleep(delay)
            pico.kill()
        with started(tmp_path) as pico:
            assert pico.run(READ) in ("9000 1 a\n", "9000 1 b\n")


@pytest.mark.parametrize("fraction", [0, 0.3, 1])
def test_power_cut_at_every_flash_operation(tmp_path, fraction):
    """The filesystem survives a cut at any erase or program, also half way through one."""
    with started(tmp_path) as pico, pico.control() as control:
        pico.run(WRITE % "a")
        before = operations(control)
        pico.run(WRITE % "a")
        needed = operations(control) - before
        assert needed > 10
        for after in range(0, needed, 5):
            control.cut(after, fraction)
            with pico.running(WRITE % "b"):
                control.wait_until_cut()
            control.reset()
            control.wait_until_up()
            assert pico.run(READ) in ("9000 1 a\n", "9000 1 b\n")
            assert pico.run("import os; print(os.listdir())") == "['delta']\n"


def operations(control) -> int:
    status = control.status()
    return status["erased_sectors"] + status["programmed_pages"]
