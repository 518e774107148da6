"""The emulated Raspberry Pi Pico: the stock rp2 firmware, the boot ROM, and the emulator's npm package."""

import re
import shutil
import subprocess
from pathlib import Path

import apt
import sources
from common import CACHE, ROOT, SetupError, build_once, fingerprint, link_firmware, make, run, say

import firmware

EMULATOR = ROOT / "boards" / "emulators" / "pico"
BOOTROM = EMULATOR / "bootrom"
LOG = CACHE / "logs" / "pico-emulated.log"
PICO_SDK = "2.1.1"  # what MicroPython 1.25 and 1.26 are made for; its build tool has to be of the same version
OLDEST_NODE = 18
ROM_FLAGS = [
    *("-mcpu=cortex-m0plus", "-mthumb", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror"),
    *("-ffreestanding", "-fno-builtin", "-fno-tree-loop-distribute-patterns"),
    *("-ffunction-sections", "-fdata-sections", "-nostdlib", "-Wl,--gc-sections,-e,reset"),
]


def prepare(built_in: bool = False) -> Path:
    """build/firmware/pico-emulated with firmware.bin, firmware.uf2 and bootrom.bin; the emulator is installed, too.

    built_in: pico-built-in, with the native modules linked into the firmware, where their code takes no RAM.
    """
    name, modules = ("pico-built-in", [ROOT / "native_modules"]) if built_in else ("pico-emulated", [])
    apt.need("compiler", "arm-gcc", "arm-newlib", "arm-c++", "cmake", "node", "npm")
    install_emulator()
    parts = [rp2_firmware("RPI_PICO", modules), bootrom()]

    def build(scratch: Path) -> None:
        for part in parts:
            for file in part.iterdir():
                shutil.copy(file, scratch)

    key = fingerprint(*(part.name for part in parts))
    return link_firmware(name, build_once(f"firmware/{name}", key, build))


def install_emulator() -> None:
    """node_modules beside the bridge, as package-lock.json has it."""
    major = re.match(r"v(\d+)", subprocess.run(["node", "--version"], capture_output=True, text=True).stdout)
    if not major or int(major[1]) < OLDEST_NODE:
        raise SetupError(f"the emulated Pico needs Node.js {OLDEST_NODE} or newer, see https://nodejs.org")
    stamp = EMULATOR / "node_modules" / ".done"
    key = fingerprint(EMULATOR / "package-lock.json")
    if not stamp.is_file() or stamp.read_text() != key:
        say("installing rp2040js from npm")
        run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=EMULATOR, log=LOG)
        stamp.write_text(key)


def bootrom() -> Path:
    """Folder with bootrom.bin, the RP2040's ROM in our own words."""

    def build(scratch: Path) -> None:
        elf = scratch / "bootrom.elf"
        code = [*sorted(BOOTROM.glob("*.S")), *sorted(BOOTROM.glob("*.c"))]
        run(["arm-none-eabi-gcc", *ROM_FLAGS, "-T", BOOTROM / "bootrom.ld", *code, "-lgcc", "-o", elf], log=LOG)
        run(["arm-none-eabi-objcopy", "-O", "binary", elf, scratch / "bootrom.bin"], log=LOG)

    return build_once("pico-bootrom", fingerprint(BOOTROM, *ROM_FLAGS), build)


def rp2_firmware(board: str, modules: list[Path]) -> Path:
    """Folder with firmware.bin (the flash image) and firmware.uf2 (for a real board) of MicroPython's rp2 port.

    modules: folders of C modules to link into it.
    """
    tree = sources.micropython()
    manifest = EMULATOR / "manifest.py"

    def build(scratch: Path) -> None:
        work = scratch / "work"
        shutil.copytree(tree, work / "micropython", symlinks=True)
        options = [f"-DMICROPY_BOARD={board}", f"-Dpicotool_DIR={picotool()}"]
        options += [f"-DUSER_C_MODULES={module}/micropython.cmake" for module in modules]
        if not (tree / "lib" / "pico-sdk" / "src").is_dir():
            options += _fill_submodules(work / "micropython", manifest)
        port = work / "micropython" / "ports" / "rp2"
        environment = {"MICROPY_MPYCROSS": str(firmware.mpy_cross())}
        run(["cmake", "-S", port, "-B", work / "build", *options], log=LOG, env=environment)
        make(work / "build", log=LOG, env=environment)
        for name in ("firmware.bin", "firmware.uf2"):
            shutil.copy(work / "build" / name, scratch)
        shutil.rmtree(work)

    key = fingerprint(sources.micropython_version(), PICO_SDK, manifest, *modules)
    return build_once(f"rp2-{board}", key, build)


def _fill_submodules(micropython: Path, manifest: Path) -> list[str]:
    """Put Debian's copies where a release tarball has its submodules. Returns the options for cmake that go with it."""
    sdk, tinyusb = (
        sources.debian_binary(package, _debian_version(package.removesuffix("-source"), upstream))
        for package, upstream in (("pico-sdk-source", PICO_SDK), ("tinyusb-source", "0.18.0"))
    )
    shutil.copytree(tinyusb / "usr" / "src" / "tinyusb", micropython / "lib" / "tinyusb", dirs_exist_ok=True)
    mbedtls = sources.debian_source("mbedtls", _debian_version("mbedtls", "3.6"))
    _unpack(mbedtls, micropython / "lib" / "mbedtls")
    (micropython / "lib" / "micropython-lib").mkdir(exist_ok=True)
    (micropython / "lib" / "micropython-lib" / "README.md").touch()  # cmake looks for it
    return [f"-DPICO_SDK_PATH_OVERRIDE={sdk}/usr/src/pico-sdk", f"-DMICROPY_FROZEN_MANIFEST={manifest}"]


def picotool() -> Path:
    """Folder with the pico-sdk's own build tool and its cmake package."""

    def build(scratch: Path) -> None:
        sdk = sources.debian_binary("pico-sdk-source", _debian_version("pico-sdk", PICO_SDK))
        _unpack(sources.debian_source("picotool", _debian_version("picotool", PICO_SDK)), scratch / "source")
        options = ["-DPICOTOOL_NO_LIBUSB=1", "-DPICOTOOL_FLAT_INSTALL=1", "-DCMAKE_BUILD_TYPE=Release"]
        options += [f"-DPICO_SDK_PATH={sdk}/usr/src/pico-sdk", f"-DCMAKE_INSTALL_PREFIX={scratch}"]
        run(["cmake", "-S", scratch / "source", "-B", scratch / "build", *options], log=LOG)
        make(scratch / "build", "install", log=LOG)
        shutil.rmtree(scratch / "source")
        shutil.rmtree(scratch / "build")

    return build_once("picotool", PICO_SDK, build) / "picotool"


def _debian_version(package: str, upstream: str) -> str:
    """The newest version of a source package in Debian's archive whose upstream version starts with `upstream`."""
    versions = sources.debian_versions(package)
    for version in versions:
        if re.match(rf"{re.escape(upstream)}(?![0-9])", version):
            return version
    raise SetupError(f"Debian's archive has {package} {', '.join(versions)}, but {upstream} is needed")


def _unpack(tarballs: list[Path], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    run(["tar", "-xf", tarballs[0], "-C", directory, "--strip-components=1"])
