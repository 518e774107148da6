"""The project's virtual environment: made once, brought up to date when a requirements file changes."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import apt
from common import ROOT, SetupError, fingerprint, run, say

VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 10)
TORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu"  # PyPI's brings several GB more
CONNECT_SECONDS = 5


def venv(*requirements: str) -> None:
    """Bring .venv up to date with these requirements files and make the `tinylearn` command run from this clone."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(f"Python 3.{OLDEST_PYTHON[1]} or newer is needed, this is {sys.version.split()[0]}")
    python = VENV / "bin" / "python"
    if not _runs(python):
        apt.need("venv")
        say("making .venv")
        run([sys.executable, "-m", "venv", "--clear", VENV])
    files = [ROOT / name for name in requirements]
    for name, key, arguments in [
        *((file.name, fingerprint(file), ["-r", file]) for file in files),
        ("pyproject.toml", fingerprint(ROOT / "pyproject.toml"), ["--no-deps", "--editable", ROOT]),
    ]:
        stamp = VENV / f".{name}.done"
        if stamp.is_file() and stamp.read_text() == key:
            continue
        say(f"installing {name} into .venv")
        run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *arguments,
                *_index_of(arguments),
            ]
        )
        stamp.write_text(key)


def _index_of(arguments: list) -> list[str]:
    """Where pip finds a small torch, if the requirements ask for one and that place can be reached."""
    if not any("torch==" in path.read_text() for path in arguments if isinstance(path, Path) and path.is_file()):
        return []
    try:
        with urllib.request.urlopen(f"{TORCH_WITHOUT_CUDA}/torch/", timeout=CONNECT_SECONDS):
            return ["--extra-index-url", TORCH_WITHOUT_CUDA]
    except OSError:
        return []


def _runs(python) -> bool:
    return python.is_file() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
