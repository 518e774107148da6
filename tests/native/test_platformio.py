"""PlatformIO's commands: the kernels' tests, a board's modules, flashing, from a core directory that is empty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "golden" / "forward.bin"


@pytest.fixture(scope="module")
def pio(tmp_path_factory):
    """Runs `pio` with these words; gives (exit code, output)."""
    core = tmp_path_factory.mktemp("platformio")
    settings = {
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_WORKSPACE_DIR": str(core / "workspace"),  # another process's pio would clear the usual one
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
    }

    def run(*words) -> tuple[int, str]:
        command = [sys.executable, "-m", "platformio", *map(str, words)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout

    return run


def test_native_replays_the_golden_vectors(pio):
    code, output = pio("test", "-e", "native")
    count = int.from_bytes(VECTORS.read_bytes()[8:12], "little")
    assert code == 0, output
    assert f"{count} test cases: {count} succeeded" in output


def test_native_says_which_vector_is_wrong(pio, tmp_path):
    raw = bytearray(VECTORS.read_bytes())
    raw[-1] ^= 1  # the answer of the last one, a reshape
    spoilt = tmp_path / "spoilt.bin"
    spoilt.write_bytes(raw)
    code, output = pio("test", "-e", "native", "-a", spoilt)
    count = int.from_bytes(raw[8:12], "little")
    assert code != 0
    assert f"not ok {count} - reshape" in output and f"{count} test cases: 1 failed" in output, output


@pytest.mark.xdist_group("pico-emulated")  # whose tests load these files
def test_pico_builds_the_modules(pio):
    names = ("tl_infer", "tl_float", "tl_train", "tl_grad", "tl_channels", "tl_filter")
    modules = [ROOT / "build" / "native" / "armv6m" / f"{name}.mpy" for name in names]
    for module in modules:
        module.unlink(missing_ok=True)
    code, output = pio("run", "-e", "pico")
    assert code == 0, output
    for module in modules:
        assert module.read_bytes()[:2] == b"M\x06"
        assert module.read_bytes()[2] >> 2 & 15 == 4  # armv6m


@pytest.mark.boards("pico-emulated")
def test_pico_is_flashed(pio, board_port):
    code, output = pio("run", "-e", "pico", "-t", "upload", "--upload-port", board_port)
    assert code == 0, output
    assert "Flashed and verified" in output


def test_an_unknown_board_is_refused(pio):
    code, output = pio("run", "-e", "picodilly")
    assert code != 0 and "picodilly" in output
