"""The `qemu-*` boards: our MicroPython port in QEMU, as a board on a serial port. serial_port.py says how it stops."""

import argparse
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import serial_port
from line import Line

# The machine of each board, and the size of the memory that we keep in a file because the flash is in it.
ENABLE_FPU = ["-device", "loader,addr=0xe000ed88,data=0xf00000,data-len=4,cpu-num=0"]
MACHINES = {
    "qemu-m3": ["qemu-system-arm", "-machine", "mps2-an385,memory-backend=flash"],
    "qemu-m4": ["qemu-system-arm", "-machine", "mps2-an386,memory-backend=flash", *ENABLE_FPU],
    "qemu-rv32": ["qemu-system-riscv32", "-machine", "virt,memory-backend=flash", "-bios", "none"],
}
MEMORY = 16 << 20
# With --count-instructions an instruction takes 2^shift nanoseconds, more than two ticks of the board's timer (40 and
# 100 ns), so that two readings of it give the exact number of instructions between.
SHIFT = {"qemu-m3": 7, "qemu-m4": 7, "qemu-rv32": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", required=True, choices=MACHINES)
    parser.add_argument("--firmware", required=True, type=Path, help="folder with the built firmware.elf")
    parser.add_argument("--state", required=True, type=Path, help="folder in which the flash is kept")
    parser.add_argument("--count-instructions", action="store_true", help="time goes by instructions, not by the clock")
    options = parser.parse_args()
    serial_port.claim(options.state)
    flash = options.state / "flash.img"

    line = Line(flash, MEMORY)

    def spawn(last_exit: int | None) -> tuple[subprocess.Popen, int]:
        line.clear()
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [
                *MACHINES[options.board],
                *(("-icount", f"shift={SHIFT[options.board]}") if options.count_instructions else ()),
                *(
                    "-object",
                    f"memory-backend-file,id=flash,size={MEMORY},mem-path={flash},share=on",
                    "-m",
                    f"{MEMORY >> 20}M",
                ),
                *("-kernel", options.firmware / "firmware.elf", "-semihosting"),
                *(
                    "-display",
                    "none",
                    "-monitor",
                    "none",
                    "-chardev",
                    "stdio,id=line,signal=off",
                    "-serial",
                    "chardev:line",
                ),
            ],
            stdin=theirs,
            stdout=theirs,
            preexec_fn=serial_port.die_with_parent,
        )
        theirs.close()
        return process, ours.detach()

    serial_port.serve(spawn, line.send)


if __name__ == "__main__":
    main()
