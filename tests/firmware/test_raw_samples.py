"""Models with a front end, on CPython and on every emulated board, which get tl_front with them."""

from __future__ import annotations

from array import array
from pathlib import Path

import front_checks
import numpy as np
import pytest
import small_model
from test_checks import facts
from tinylearn_host import flash, front, tlm, transport
from tinylearn_host.errors import BAD_MODEL, TinylearnError
from tinylearn_host.simulator import Simulator

SOURCE = Path(front_checks.__file__).read_text()
FRONTS = {
    "h": front.LogMel(rate=4000, samples=700, window=64, hop=90, fft=64, bins=8, high=1900.0),
    "b": front.Envelope(rate=100, channels=8, samples=40, window=5),
}


def with_front(path: Path, section: bytes) -> Path:
    model = tlm.read(small_model.write(path))
    path.write_bytes(tlm.rewrite(model, {front.TAG: (section, 0)}))
    return path


@pytest.fixture(params=FRONTS, ids=["log-mel", "envelope"])
def sensing(request, tmp_path) -> tuple[str, Path]:
    """The type code of its samples, and the model."""
    return request.param, with_front(tmp_path / "model.tlm", FRONTS[request.param].pack())


def values(kind: str) -> int:
    return FRONTS[kind].samples * getattr(FRONTS[kind], "channels", 1)


@pytest.fixture
def simulated(sensing, monkeypatch) -> list[str]:
    kind, path = sensing
    lines: list[str] = []
    monkeypatch.setattr(front_checks, "print", lambda *words: lines.append(" ".join(map(str, words))), raising=False)
    front_checks.run(str(path), kind, values(kind))
    return facts("\n".join(lines))


def test_raw_samples_are_taken_in_any_form(sensing, simulated):
    kind, path = sensing
    x = np.array(front_checks.raw(kind, values(kind), 3))
    expected = front_checks.bits(Simulator(path).features(front.Front(FRONTS[kind].pack())(x)))
    assert simulated[1:4] == [f"features {expected}", f"of bytes {expected} of a view {expected}", f"ready {expected}"]


def test_it_learns_from_raw_samples_and_refuses_others(simulated):
    assert simulated[4] == "taught [1, 4, 8]" and simulated[-1] == "still [1, 4, 8]"
    assert len(simulated[5:-1]) == 3
    assert all(line.startswith("refused") and "raw ones of its sensor" in line for line in simulated[5:-1])


def test_board_equals_simulator(board_port, sensing, simulated):
    kind, path = sensing
    with transport.connect(board_port, "mpremote") as board:
        flash.flash(board, path)
        board.soft_reset()
        text = board.exec(SOURCE + f"\nrun('/model.tlm', {kind!r}, {values(kind)})\n", timeout=120)
    assert facts(text) == simulated


def test_a_model_without_a_front_end_gets_no_such_module(small):
    assert flash.FRONT not in flash.needed(tlm.read(small))


def test_a_model_without_a_front_end_takes_no_pcm(small):
    import tinylearn

    with pytest.raises(TypeError, match="not array of 'h'"):
        tinylearn.load(str(small)).predict(array("h", bytes(128)))


def test_a_damaged_front_end_is_refused(tmp_path):
    """By the host when the file is read; by a board when it is to run."""
    import tinylearn

    section = FRONTS["h"].pack()
    for damaged, match in ((section[:-1], "no front end"), (front.Envelope().pack(), "makes 96 values")):
        path = tmp_path / "model.tlm"
        with_front(path, damaged)
        with pytest.raises(TinylearnError, match=match) as error:
            tlm.read(path)
        assert error.value.exit_code == BAD_MODEL
    with_front(path, section[:-1])
    with pytest.raises(ValueError, match="FRNT"):
        tinylearn.load(str(path)).predict(array("h", bytes(1400)))
