"""The native modules as tests want them built, one at a time where several processes share the work."""

from __future__ import annotations

import fcntl
import subprocess

from tinylearn_host import paths


def build(*archs: str) -> None:
    """Bring build/native/<arch>/*.mpy up to date."""
    paths.BUILD.mkdir(exist_ok=True)
    with (paths.BUILD / "native.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make = ["make", "-s", "-C", paths.ROOT / "native_modules", "native", f"ARCHS={' '.join(archs)}"]
        subprocess.run(make, check=True)
