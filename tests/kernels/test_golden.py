"""The golden vectors: still what LiteRT answers, and what every build of the C on this machine answers."""

import shutil
import subprocess

import cases
import golden
import make_golden
import pytest
from tinylearn_host import paths, simulator

KERNELS = paths.ROOT / "native_modules" / "kernels"
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "plain": ["-O2"],
    "sanitized": SANITIZERS,
    "sanitized, products as on the Cortex-M0+": [*SANITIZERS, "-DTL_SPLIT_MULTIPLY=1"],
}


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
    program = tmp_path / "replay"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{KERNELS}", *BUILDS[build]]
    sources = [golden.FILE.with_name("replay.c"), *sorted(KERNELS.glob("*.c"))]
    subprocess.run([shutil.which("cc") or "gcc", *flags, "-o", program, *sources], check=True)
    done = subprocess.run([program, golden.FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"1..{len(lines) - 1}" and all(line.startswith("ok ") for line in lines[1:])
    done = subprocess.run([program, spoilt], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"not ok {len(lines) - 1} - reshape" in done.stdout
