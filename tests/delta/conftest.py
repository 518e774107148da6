import sys
from types import SimpleNamespace

import flash_model
import pytest
from tinylearn_host import simulator

from firmware import small_model

simulator.on_path()


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Two models of the same shape: their files' bytes."""
    folder = tmp_path_factory.mktemp("models")
    return [small_model.write(folder / f"{seed}.tlm", seed=seed).read_bytes() for seed in (1, 2)]


@pytest.fixture
def flash(monkeypatch):
    """The board's flash: a stand-in for its files."""
    from tinylearn import delta, model

    system = flash_model.FileSystem()
    for module in (delta, model):
        monkeypatch.setattr(module, "os", system)
        monkeypatch.setattr(module, "open", system.open, raising=False)
    return system


@pytest.fixture
def nvm(monkeypatch):
    """nvm(size): this is CircuitPython now, with so many bytes of microcontroller.nvm."""

    def make(size: int, fill: int = 0xFF):
        memory = flash_model.Nvm(size, fill)
        monkeypatch.setattr(sys.implementation, "name", "circuitpython")
        monkeypatch.setitem(sys.modules, "microcontroller", SimpleNamespace(nvm=memory))
        return memory

    return make
