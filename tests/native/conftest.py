import contextlib
import io
from pathlib import Path

import pytest
from examples import every_operator_file
from tinylearn_host import simulator, tlm

simulator.on_path()  # `import tl_infer` is the simulator


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "native.tlm"
    path.write_bytes(every_operator_file())
    return path


@pytest.fixture(scope="session")
def call(model) -> str:
    """What follows on_board.py: everything(path, ...), with {path} left open."""
    parsed = tlm.read(model)
    assert parsed.tensors[parsed.input].place == 0
    return f"everything({{path!r}}, {parsed.tensors[parsed.input].bytes}, {parsed.arena}, {len(parsed.ops)})\n"


@pytest.fixture(scope="session")
def simulated(model, call) -> str:
    """What on_board.py prints here."""
    import on_board

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(call.format(path=str(model)), vars(on_board))
    return out.getvalue()
