"""A board answers as the benchmark says: the same episodes on MicroPython and in the simulator."""

import json

import pytest
from click.testing import CliRunner
from tinylearn_host import cli, streaming
from tinylearn_host.errors import VERIFY_FAILED
from tinylearn_host.learning import replay

COMMAND = ["benchmark", "--dataset", "digits", "--way", "3", "--shot", "1", "--replay", "1", "--queries", "4"]
TRAINING = ["--method", "full", "--steps", "2", "--layers", "2", "--arithmetic", "int8"]


@pytest.mark.boards("unix")
def test_a_board_gives_the_same_bits(board_name):
    command = [*COMMAND, *TRAINING, "--board", board_name, "--json"]
    result = CliRunner().invoke(cli.main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    [found] = json.loads(result.stdout)
    assert found["same"] and found["method"] == "full" and found["seconds"] > 0 and found["peak"] > 0


def test_another_answer_is_told(monkeypatch):
    """The simulator stands for the board; what it says the second time is changed."""
    calls, adapt = [], streaming.adapt

    def otherwise(*arguments, **options):
        outcome = adapt(*arguments, **options)
        calls.append(outcome)
        if len(calls) == 2:
            outcome.confidence[0] += 2**-15
        return outcome

    monkeypatch.setattr(streaming, "adapt", otherwise)
    command = [*COMMAND, "--method", "prototype", "--board", "sim"]
    result = CliRunner().invoke(cli.main, command, catch_exceptions=False)
    assert result.exit_code == VERIFY_FAILED
    assert "DIFFERENT" in result.stdout and "sim does not answer as the simulator does" in result.stderr
    assert len(calls) == 2


def test_the_episodes_are_drawn_with_the_seed():
    assert replay.sample(200, 5, 1) == replay.sample(200, 5, 1) != replay.sample(200, 5, 2)
    assert len(set(replay.sample(200, 5, 1))) == 5 and max(replay.sample(200, 50, 3)) < 200
