import subprocess
import sys

import pytest
from pico import ROOT, started


@pytest.fixture(scope="session", autouse=True)
def emulator():
    """The firmware, the boot ROM and the emulator are built and installed if they are not there."""
    subprocess.run([sys.executable, ROOT / "setup" / "prepare.py", "pico-emulated"], check=True)


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    """One emulated Pico for the tests of a module that do not mind each other."""
    with started(tmp_path_factory.mktemp("pico")) as running:
        yield running
