"""System packages: what is missing is installed through apt, or named in one line where that is not possible."""

import os
import shutil
import subprocess
from pathlib import Path

from common import SetupError, say


def _library_of(compiler: str, *names: str) -> bool:
    """Whether `compiler` is there and finds one of the files `names` among its own libraries."""
    if not shutil.which(compiler):
        return False

    def found(name: str) -> bool:
        answer = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True)
        return Path(answer.stdout.strip()).is_file()

    return any(map(found, names))


def _can_make_venv() -> bool:
    return subprocess.run(["python3", "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


# tool -> (is it there?, packages of which the first that apt knows is installed). Names differ between releases:
# RISC-V's QEMU is in qemu-system-misc up to Debian 12 and Ubuntu 24.04, and in qemu-system-riscv after.
TOOLS = {
    "compiler": (lambda: shutil.which("gcc") and shutil.which("make"), ["build-essential"]),
    "venv": (_can_make_venv, ["python3-venv"]),
    "pkg-config": (lambda: shutil.which("pkg-config"), ["pkg-config"]),
    "xz": (lambda: shutil.which("xz"), ["xz-utils"]),
    "certificates": (lambda: Path("/etc/ssl/certs/ca-certificates.crt").is_file(), ["ca-certificates"]),
    "source-packages": (lambda: shutil.which("dpkg-source"), ["dpkg-dev"]),
    "debian-keyring": (
        lambda: Path("/usr/share/keyrings/debian-archive-keyring.gpg").is_file(),
        ["debian-archive-keyring"],
    ),
    "arm-gcc": (lambda: shutil.which("arm-none-eabi-gcc"), ["gcc-arm-none-eabi"]),
    "arm-newlib": (lambda: _library_of("arm-none-eabi-gcc", "libc.a"), ["libnewlib-arm-none-eabi"]),
    "arm-c++": (lambda: _library_of("arm-none-eabi-gcc", "libstdc++.a"), ["libstdc++-arm-none-eabi-newlib"]),
    "riscv-gcc": (lambda: shutil.which("riscv64-unknown-elf-gcc"), ["gcc-riscv64-unknown-elf"]),
    "riscv-picolibc": (
        lambda: _library_of("riscv64-unknown-elf-gcc", "picolibc.specs"),
        ["picolibc-riscv64-unknown-elf"],
    ),
    "qemu-arm": (lambda: shutil.which("qemu-system-arm"), ["qemu-system-arm"]),
    "qemu-riscv": (lambda: shutil.which("qemu-system-riscv32"), ["qemu-system-riscv", "qemu-system-misc"]),
    "cmake": (lambda: shutil.which("cmake"), ["cmake"]),
    "node": (lambda: shutil.which("node"), ["nodejs"]),
    "npm": (lambda: shutil.which("npm"), ["npm"]),
}


def need(*tools: str) -> None:
    """Install the packages of those `tools` that are not there. Raises SetupError with the one line to type."""
    missing = [tool for tool in tools if not TOOLS[tool][0]()]
    if not missing:
        return
    become_root = _become_root()
    if become_root is None:
        names = " ".join(TOOLS[tool][1][-1] for tool in missing)
        raise SetupError(f"these system packages are missing, install them and try again: apt-get install {names}")
    apt = [*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]
    if not all(_known(TOOLS[tool][1]) for tool in missing):
        say("apt-get update")
        _apt([*apt, "update"], missing)
    packages = [_known(TOOLS[tool][1]) or TOOLS[tool][1][-1] for tool in missing]
    say(f"apt-get install {' '.join(packages)}")
    if not _apt([*apt, "install", "-y", "--no-install-recommends", *packages], missing, may_fail=True):
        _apt([*apt, "update"], missing)  # the lists may have been older than the mirror
        _apt([*apt, "install", "-y", "--no-install-recommends", *packages], missing)
    still = [tool for tool in missing if not TOOLS[tool][0]()]
    if still:
        raise SetupError(f"installed {' '.join(packages)}, but {', '.join(still)} is still not found on this machine")


def _become_root() -> list[str] | None:
    """The words to put before a command to run it as root; None where that, or apt, is not possible."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    quiet = subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
    return ["sudo"] if quiet or os.isatty(0) else None


def _known(packages: list[str]) -> str | None:
    """The first of `packages` that apt can install here."""
    for package in packages:
        policy = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True).stdout
        if "Candidate:" in policy and "Candidate: (none)" not in policy:
            return package
    return None


def _apt(command: list[str], missing: list[str], may_fail: bool = False) -> bool:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode and not may_fail:
        names = " ".join(TOOLS[tool][1][-1] for tool in missing)
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise SetupError(f"`{' '.join(command)}` failed; install by hand: apt-get install {names}\n{tail}")
    return done.returncode == 0
