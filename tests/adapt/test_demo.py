"""The demo as a newcomer runs it, and what it promises."""

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import cli, digits

# reference figure for an int8 backbone with the nearest prototype, 10-way 5-shot on these digits, less its spread
EXPECTED = 0.86


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path))


def demo(*arguments):
    result = CliRunner().invoke(cli.main, ["demo", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_board_learns_the_digits():
    report = json.loads(demo("--board", "unix", "--json"))
    assert report["queries"] >= 200
    assert report["accuracy_before"] == pytest.approx(0.1)
    assert report["accuracy_after"] > EXPECTED
    assert np.mean(list(report["accuracy_per_class"].values())) == pytest.approx(report["accuracy_after"])
    sim = json.loads(demo("--board", "sim", "--json"))
    assert report["predictions"] == sim["predictions"]


def test_what_it_shows():
    start = time.monotonic()
    said = demo("--board", "unix", "--queries", "20")
    assert time.monotonic() - start < 20
    assert "about 200 others" in said
    assert said.count("✓") + said.count("✗") == 10
    assert "█" in said
    assert "before" in said
    assert "10.0%" in said


def test_on_the_emulated_pico():
    """The same bits as the simulator, on the stock firmware; few queries, the emulator has its own clock."""
    report = json.loads(demo("--board", "pico-emulated", "--json", "--queries", "3"))
    sim = json.loads(demo("--board", "sim", "--json", "--queries", "3"))
    assert report["predictions"] == sim["predictions"]
    assert report["confidences"] == sim["confidences"]
    assert report["peak_heap_bytes"] < 160 * 1024


def test_taught_and_asked_digits_are_different_ones():
    support, query = digits.task(shots=5, queries=100, seed=1)
    assert [support.y.count(digit) for digit in range(10)] == [5] * 10
    assert [query.y.count(digit) for digit in range(10)] == [100] * 10
    pixels, labels = digits.load()
    known = {row.tobytes(): label for row, label in zip(pixels.reshape(len(pixels), -1), labels, strict=True)}
    for samples in (support, query):
        assert [known[row.tobytes()] for row in samples.x] == samples.y
    assert not {row.tobytes() for row in support.x} & {row.tobytes() for row in query.x}


def test_enlarging_keeps_shapes_and_greys():
    image = np.zeros((1, 8, 8))
    image[0, 2, 5] = 255
    big = digits.enlarge(image)
    assert big.shape == (1, 28, 28)
    assert np.unravel_index(big[0].argmax(), (28, 28)) in [(y, x) for y in (8, 9) for x in (18, 19)]
    assert big.mean() == pytest.approx(255 / 64, rel=0.05)
    assert (digits.enlarge(np.full((1, 8, 8), 77.0)) == 77).all()
