"""The golden vectors: still what LiteRT answers, and what every build of the C on this machine answers."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import cases
import golden
import make_golden
import pytest
from tinylearn_host import paths, simulator

KERNELS = paths.ROOT / "native_modules" / "kernels"
pytestmark = pytest.mark.xdist_group("golden")  # with test_golden_backward.py: one process compiles for both
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "plain": ["-O2"],
    "sanitized": SANITIZERS,
    "sanitized, products as on the Cortex-M0+": [*SANITIZERS, "-DTL_SPLIT_MULTIPLY=1"],
}


@cache
def kernels(build: str) -> tempfile.TemporaryDirectory:
    """A folder with the objects of all kernels."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run([*compiler(build), "-c", *sorted(KERNELS.glob("*.c"))], cwd=folder.name, check=True)
    return folder


def compiler(build: str) -> list[str]:
    return [
        shutil.which("cc") or "gcc",
        *("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{KERNELS}"),
        *BUILDS[build],
    ]


def built(build: str, source: Path, program: Path) -> Path:
    """The program of one source and the kernels."""
    objects = sorted(Path(kernels(build).name).glob("*.o"))
    subprocess.run([*compiler(build), "-o", program, source, *objects], check=True)
    return program


def test_the_file_is_what_its_generator_writes():
    raw = golden.FILE.read_bytes()
    assert len(raw) <= make_golden.LIMIT
    assert raw == make_golden.everything(), "run: python tests/kernels/make_golden.py"


def test_every_operator_is_in_it():
    codes = {int(vector["params"][0]) for vector in golden.unpack(golden.FILE.read_bytes())}
    assert codes == set(range(1, 12))


@pytest.fixture
def spoilt(tmp_path):
    return golden.spoilt(golden.FILE, tmp_path)  # the last record is a reshape


def test_the_simulator_replays_it(monkeypatch, spoilt):
    simulator.module()
    monkeypatch.syspath_prepend(str(golden.FILE.parent))
    import replay

    count, wrong = replay.run(str(golden.FILE))
    assert count > 100
    assert wrong == []
    assert replay.run(str(spoilt)) == (count, [(count - 1, cases.RESHAPE, -1)])


@pytest.mark.parametrize("build", BUILDS)
def test_c_replays_it(build, tmp_path, spoilt):
    program = built(build, golden.FILE.with_name("replay.c"), tmp_path / "replay")
    done = subprocess.run([program, golden.FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"1..{len(lines) - 1}" and all(line.startswith("ok ") for line in lines[1:])
    done = subprocess.run([program, spoilt], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"not ok {len(lines) - 1} - reshape" in done.stdout
