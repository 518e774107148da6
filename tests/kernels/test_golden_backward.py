"""The golden vectors of the way back: what every build of the C on this machine answers."""

import subprocess
from pathlib import Path

import make_golden_backward as golden
import pytest
from golden import spoilt as spoilt_copy
from test_golden import BUILDS, built
from tinylearn_host import simulator

pytestmark = pytest.mark.xdist_group("golden")  # test_golden.py


def test_the_file_is_what_its_generator_writes():
    raw = golden.FILE.read_bytes()
    assert len(raw) <= golden.LIMIT
    assert raw == golden.everything(), "run: python tests/kernels/make_golden_backward.py"


@pytest.fixture
def spoilt(tmp_path):
    return spoilt_copy(golden.FILE, tmp_path)


def test_the_simulator_replays_it(monkeypatch, spoilt):
    simulator.module()
    monkeypatch.syspath_prepend(str(golden.FILE.parent))
    import replay_backward

    count, wrong = replay_backward.run(str(golden.FILE))
    assert count > 40
    assert wrong == []
    assert replay_backward.run(str(spoilt)) == (count, [(count - 1, 3, -1)])  # a view of a sample


def refused(output: str) -> int:
    return int(output.split("# ")[-1].split()[0])


@pytest.mark.parametrize("build", BUILDS)
def test_c_replays_it(build, tmp_path, spoilt):
    program = built(build, Path(__file__).with_name("replay_backward.c"), tmp_path / "replay")
    rounds = "2000" if "sanitized" in build else "0"
    done = subprocess.run([program, golden.FILE, rounds], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (refused(done.stdout) > 20_000) == (rounds != "0")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert lines[0] == f"1..{len(lines) - 1}" and all(line.startswith("ok ") for line in lines[1:])
    done = subprocess.run([program, spoilt], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"not ok {len(lines) - 1}" in done.stdout
