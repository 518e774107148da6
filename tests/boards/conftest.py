import pytest
from pico import started


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    """One emulated Pico for the tests of a module that do not mind each other."""
    with started(tmp_path_factory.mktemp("pico")) as running:
        yield running
