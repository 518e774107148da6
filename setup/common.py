"""What every part of the set-up shares: where things live, one lock, progress lines, and builds that happen once.

Standard library only: this runs with the system's python3 before any virtual environment exists.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("TINYLEARN_CACHE") or Path.home() / ".cache" / "tinylearn").absolute()
BUILD = ROOT / "build"


class SetupError(Exception):
    """A sentence for the user: what could not be set up, and what to do about it."""


def say(text: str) -> None:
    """One progress line on stderr; stdout is kept for answers such as --print-path."""
    print(f"tinylearn: {text}", file=sys.stderr, flush=True)


@contextmanager
def only_one():
    """Hold the cache's lock, so that two set-ups at once do not build the same thing over each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list, log: Path | None = None, cwd: Path | None = None, env: dict | None = None) -> None:
    """Run `command` quietly. If it fails, show the end of what it printed and raise SetupError."""
    command = [str(word) for word in command]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as file:
            file.write(f"$ {' '.join(command)}\n{done.stdout}\n")
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise SetupError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{tail}")


def make(directory: Path, *arguments, log: Path, env: dict | None = None) -> None:
    """`make -j` over all cores in `directory`."""
    run(["make", f"-j{os.cpu_count() or 1}", "-C", directory, *arguments], log=log, env=env)


def fingerprint(*parts) -> str:
    """A short hash of strings and of the contents of files and folders: the key under which a build is kept."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(str(path.relative_to(part.parent)).encode() + b"\0" + path.read_bytes())
        else:
            digest.update(str(part).encode() + b"\0")
    return digest.hexdigest()[:12]


def build_once(name: str, key: str, builder) -> Path:
    """CACHE/name-key, made by `builder(empty_directory)` if it is not there yet.

    The directory appears whole or not at all: it is filled under a temporary name and then renamed.
    """
    final = CACHE / f"{name}-{key}"
    if final.is_dir():
        return final
    say(f"building {name} ...")
    started = time.monotonic()
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        builder(scratch)
        scratch.chmod(0o755)
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"built {name} in {time.monotonic() - started:.0f} s")
    return final


def link_firmware(board: str, directory: Path) -> Path:
    """Make build/firmware/<board> point at the cached build, the place where the board file looks for it."""
    link = BUILD / "firmware" / board
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.readlink() == directory:
        return link
    fresh = link.with_name(f".{board}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(directory)
    fresh.replace(link)
    return link
