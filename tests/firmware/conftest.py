from pathlib import Path

import pytest
import small_model
from tinylearn_host import simulator

simulator.on_path()  # `import tinylearn` is the board's package over the simulator


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    return small_model.write(tmp_path_factory.mktemp("models") / "model.tlm")
