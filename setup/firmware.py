"""What is built from MicroPython's sources: mpy-cross, and the firmwares of the unix and qemu boards."""

import re
import shutil
from pathlib import Path

import apt
import sources
from common import CACHE, ROOT, SetupError, build_once, fingerprint, link_firmware, make

EMULATORS = ROOT / "boards" / "emulators"


def _log(name: str) -> Path:
    return CACHE / "logs" / f"{name}.log"


def mpy_cross() -> Path:
    """MicroPython's cross-compiler, of the very version that the firmwares have."""
    apt.need("compiler")
    tree = sources.micropython()

    def build(scratch: Path) -> None:
        make(tree / "mpy-cross", f"BUILD={scratch}/build", log=_log("mpy-cross"))
        shutil.copy(scratch / "build" / "mpy-cross", scratch)
        shutil.rmtree(scratch / "build")

    return build_once("mpy-cross", sources.micropython_version(), build) / "mpy-cross"


def unix(built_in: bool = False) -> Path:
    """MicroPython's unix port, in the variant that speaks the boards' REPL on a terminal.

    built_in: with the native modules linked into it, as unix-built-in.
    """
    apt.need("compiler")
    name, modules = ("unix-built-in", [ROOT / "native_modules"]) if built_in else ("unix", [])
    tree = sources.micropython()
    variant = EMULATORS / "unix" / "variant"

    def build(scratch: Path) -> None:
        options = [f"VARIANT_DIR={variant}", f"BUILD={scratch}/build", *(f"USER_C_MODULES={m}" for m in modules)]
        make(tree / "ports" / "unix", *options, log=_log(name))
        shutil.copy(scratch / "build" / "micropython", scratch)
        shutil.rmtree(scratch / "build")

    key = fingerprint(sources.micropython_version(), variant, EMULATORS / "common", *modules)
    return link_firmware(name, build_once(f"firmware/{name}", key, build))


def qemu(board: str) -> Path:
    """Our MicroPython port for QEMU's microcontroller machines, for one of the qemu-* boards."""
    if board == "qemu-rv32":
        apt.need("compiler", "riscv-gcc", "riscv-picolibc", "qemu-riscv")
    else:
        apt.need("compiler", "arm-gcc", "arm-newlib", "qemu-arm")
    tree, cross, port = sources.micropython(), mpy_cross(), EMULATORS / "qemu" / "port"
    sizes = [
        f"{name.upper()}={_board_field(board, name).replace('_', '')}"
        for name in ("heap_bytes", "flash_bytes", "romfs_bytes")
    ]

    def build(scratch: Path) -> None:
        tools = [f"MICROPY_MPYCROSS={cross}", f"MICROPY_MPYCROSS_DEPENDENCY={cross}"]
        where = [f"MPTOP={tree}", f"BOARD={board}", f"BUILD={scratch}/build"]
        make(port, *where, *tools, *sizes, log=_log(board))
        shutil.copy(scratch / "build" / "firmware.elf", scratch)
        shutil.rmtree(scratch / "build")

    key = fingerprint(sources.micropython_version(), port, EMULATORS / "common", *sizes)
    return link_firmware(board, build_once(f"firmware/{board}", key, build))


def compilers_for(board: str) -> None:
    """What builds native modules for a real board, whose firmware is not ours to build."""
    arch = _board_field(board, "arch")
    if arch.startswith("armv"):
        apt.need("compiler", "arm-gcc", "arm-newlib")
    elif arch == "rv32imc":
        apt.need("compiler", "riscv-gcc", "riscv-picolibc")
    elif arch == "xtensawin" and not shutil.which("xtensa-esp32-elf-gcc"):
        raise SetupError(
            f"native modules for {board} need Espressif's compiler, which no distribution packages: install "
            "xtensa-esp-elf from https://github.com/espressif/crosstool-NG/releases and put its bin folder on PATH"
        )


def _board_field(board: str, name: str) -> str:
    """One field of boards/<board>.toml, read without a TOML library: Python 3.10 has none."""
    text = (ROOT / "boards" / f"{board}.toml").read_text()
    return re.search(rf'^{name} = "?([\w.-]+)', text, re.MULTILINE)[1]
