"""The fast kernels of the way back give the plain ones' bits, whatever the shape and the scratch.

tests/kernels/replay_backward.c with all kernels, built for the Cortex-M0+ and the Cortex-M4, runs on a bare machine of
QEMU, which reads this machine's files: a second for what a board's serial port takes minutes.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import backward_cases
import pytest

COUNT, PART = 144, 48  # the program holds a part
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERNELS = ROOT / "native_modules" / "kernels"
BUILD = [
    "arm-none-eabi-gcc",
    "-mthumb",
    "-Os",
    "-masm-syntax-unified",
    "-std=gnu99",
    "-Wall",
    "-Wextra",
    "-Werror",
]
LINK = ["-specs=rdimon.specs", "-Wl,--section-start=.vectors=0", "-Wl,--no-warn-rwx-segments"]
RUN = ["qemu-system-arm", "-nographic", "-monitor", "none", "-serial", "none"]


class Program(NamedTuple):
    machine: str  # of QEMU
    elf: Path


# cpu: machine, folder of its own kernels
PROCESSORS = {"cortex-m0plus": ("mps2-an385", "armv6m"), "cortex-m4": ("mps2-an386", "armv7em")}
LEAN = ["-DTL_LEAN=1", "-DTL_RECORDS=0", "-Wl,--defsym=tl_panel_conv2d_grad_sums=0"]  # as tl_grad is: without filters


@pytest.fixture(scope="module", params=PROCESSORS)
def program(request, tmp_path_factory) -> Program:
    return build(request.param, tmp_path_factory.mktemp(request.param) / "replay.elf", [])


def build(cpu: str, path: Path, options: list[str]) -> Program:
    machine, folder = PROCESSORS[cpu]
    fast = sorted((KERNELS / folder).glob("*.[cS]"))
    sources = [*KERNELS.glob("*.c"), *fast, HERE / "bare_cortex_m.S", HERE.parent / "kernels" / "replay_backward.c"]
    subprocess.run([*BUILD, f"-mcpu={cpu}", *options, f"-I{KERNELS}", *LINK, "-o", path, *sources], check=True)
    return Program(machine, path)


def replay(program: Program, file: Path) -> list[str]:
    """Its lines; an emulator that hangs is an error."""
    arguments = f"enable=on,target=native,arg=replay,arg={file}"
    command = [*RUN, "-M", program.machine, "-semihosting-config", arguments, "-kernel", program.elf]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return [line for line in done.stdout.splitlines() if line.startswith(("1..", "ok", "not ok"))]


@pytest.mark.parametrize("part", range(COUNT // PART))
def test_its_processor_has_the_plain_bits(program, tmp_path, part):
    file = tmp_path / "backward.bin"
    file.write_bytes(backward_cases.file(backward_cases.records(part, PART)))
    assert replay(program, file) == [f"1..{PART}", *(f"ok {i}" for i in range(1, PART + 1))]


def test_so_has_the_lean_module(tmp_path):
    program = build("cortex-m0plus", tmp_path / "lean.elf", LEAN)
    file = tmp_path / "backward.bin"
    file.write_bytes(backward_cases.file(backward_cases.records(COUNT, PART, lean=True)))
    assert replay(program, file) == [f"1..{PART}", *(f"ok {i}" for i in range(1, PART + 1))]


def test_changed_weights_keep_the_plain_bits(program, tmp_path):
    """Also those whose sums leave what the short multiplications hold, in a file whose own weights' sums do not."""
    file = tmp_path / "changed.bin"
    file.write_bytes(backward_cases.file([backward_cases.changed(seed) for seed in range(PART)]))
    assert replay(program, file) == [f"1..{PART}", *(f"ok {i}" for i in range(1, PART + 1))]


def test_it_sees_a_wrong_bit(program, tmp_path):
    raw = bytearray(backward_cases.file(backward_cases.records(9, 4)))
    raw[-1] ^= 1
    file = tmp_path / "backward.bin"
    file.write_bytes(raw)
    assert replay(program, file) == ["1..4", "ok 1", "ok 2", "ok 3", "not ok 4"]
