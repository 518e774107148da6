"""Sequences of tasks: what they are, what strategies know after each, and that the board obeys a freeze point."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import cli, simulator, tlm
from tinylearn_host.learning import continual, freezing
from tinylearn_host.learning.continual import Integers, Job, Setting, average, forgetting, share_out
from tinylearn_host.learning.sequences import Sequences
from tinylearn_host.paths import MODELS

simulator.on_path()

GLYPH = MODELS / "glyph" / "glyph.tlm"
DIGITS = Setting("negatives", GLYPH, None, None, ())
QUICK = {"steps": 2, "layers": 2, "rate": 0.003}


@pytest.fixture(scope="module")
def opened():
    return DIGITS.open()


def test_tasks_share_neither_classes_nor_samples(opened):
    episodes = opened[0].draw(1, 3)
    assert [sorted(set(e.support_class)) for e in episodes] == [[2 * t, 2 * t + 1] for t in range(5)]
    rows = np.concatenate([part for e in episodes for part in (e.support, e.query)])
    assert len(set(rows.tolist())) == len(rows) == 5 * 2 * (5 + 10)
    again, other = opened[0].draw(1, 3), opened[0].draw(1, 4)
    assert (again[0].support == episodes[0].support).all() and (other[0].support != episodes[0].support).any()


def test_forgetting_is_what_a_task_has_lost_since_its_best():
    known = [[90.0], [70.0, 80.0], [75.0, 60.0, 100.0]]
    assert average(known) == pytest.approx(235 / 3)
    assert forgetting(known) == pytest.approx((15 + 20) / 2)
    assert forgetting([[50.0], [60.0, 40.0]]) == 0 and forgetting([[70.0, 80.0]]) == 0


def test_a_memory_is_shared_out():
    samples = [(np.zeros(1), row) for row in (0, 0, 0, 1, 1, 2)]
    assert [row for _, row in share_out(samples, 4)] == [0, 1, 2, 0]
    assert len(share_out(samples, 99)) == 6 and share_out(samples, 0) == []


@pytest.fixture(scope="module")
def short(opened):
    """Three tasks each."""
    return Sequences(replace(opened[0].spec, tasks=3), opened[0].task), opened[1]


@pytest.mark.parametrize("strategy", ["lightcl", "replay"])
def test_float32_does_what_the_board_does(short, strategy):
    """Not a bit more can be asked: steps are rounded at random there."""
    from tinylearn_host.learning.float_continual import Floats

    job = Job(strategy, "int8", 1, QUICK)
    board = average(Integers(job, *short).known(0))
    [known] = Floats(Job(strategy, "float32", 1, QUICK), *short).known([0])
    real = average(known)
    assert real == pytest.approx(board, abs=12)


def test_what_is_held_is_kept_better(short):
    forgotten = {}
    for strategy in ("naive", "lightcl"):
        runner = Integers(Job(strategy, "int8", 1, {"steps": 5, "layers": 3}), *short)
        forgotten[strategy] = forgetting(runner.known(0))
    assert forgotten["lightcl"] < forgotten["naive"] / 2


def test_replay_has_the_bytes_of_what_is_held(opened):
    """As the board's plan counts them for the same samples, once tasks have held different channels."""
    from tinylearn.model import load

    job = Job("lightcl", "int8", 1, {"steps": 1, "layers": 2, "method": "full"}, {"share": 0.25, "most": 0.25})
    runner = Integers(job, *opened)
    model = load(str(runner.path), recall=False)
    episodes = opened[0].draw(1, 0)
    runner._learn(model, episodes[0], 0, 0)
    holding = continual.board("holding")
    choice = next(continual.board("tuning").choices(model, "full", settings(model, job)))[0]
    tail = holding.Holding(model, choice, 8)
    tail.keep(10)
    assert tail.size - tail.bare == continual.held_bytes(model, job, 1, 10)


def settings(model, job):
    return continual.board("tuning").Settings(model, {**job.options, "continual": "lightcl", "hold": job.hold})


@pytest.mark.parametrize("method", ["full", "scheme", "bias"])
def test_the_board_obeys_the_freeze_point(tmp_path, opened, method):
    from tinylearn.model import load

    path = tmp_path / "model.tlm"
    path.write_bytes(freezing.with_freeze(opened[1], 8).raw)
    assert tlm.read(path).meta["train"]["freeze"] == 8
    job = Job("lightcl", "int8", 1, {"method": method})
    model = load(str(path), recall=False)
    frozen = list(continual.board("tuning").choices(model, method, settings(model, job)))
    assert frozen and min(min(choice) for choice, _ in frozen) >= 8
    free = continual.board("tuning").choices(model, method, continual.board("tuning").Settings(model, job.options))
    assert min(min(choice) for choice, _ in free) < 8


def test_the_commands(tmp_path):
    output = tmp_path / "run.json"
    arguments = ["--sequence", "negatives", "--json"]
    quick = ["continual", *arguments, "--model", str(GLYPH), "--sequences", "2", "--steps", "1", "--layers", "1"]
    given = ["--strategy", "prototype,lightcl", "--strength", "2", "--jobs", "1", "--output", str(output)]
    result = CliRunner().invoke(cli.main, [*quick, *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == json.loads(output.read_text())
    assert [row["strategy"] for row in found["rows"]] == ["prototype", "lightcl"]
    assert found["rows"][1]["hold"] == {"strength": 2.0} and len(found["rows"][0]["after"]) == 5
    assert found["rows"][0]["average"]["mean"] == pytest.approx(np.mean(found["rows"][0]["averages"]), abs=0.01)
    frozen = tmp_path / "frozen.tlm"
    quick = ["freeze", str(GLYPH), *arguments, "--pairs", "1", "--steps", "1", "-o", str(frozen)]
    result = CliRunner().invoke(cli.main, quick, catch_exceptions=False)
    found = json.loads(result.stdout)
    assert found["freeze"] == tlm.read(frozen).meta["train"]["freeze"]
    assert all(0 <= layer["stability"] <= 1 and layer["plasticity"] <= 1 for layer in found["layers"])
    wrong = CliRunner().invoke(cli.main, ["continual", *arguments, "--model", str(GLYPH), "--strategy", "magic"])
    assert wrong.exit_code == 2 and "known are prototype" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--rate", "-1"), 2, "lightcl: rate is a number between 1e-6 and 1000"),
        (("--share", "3"), 2, "lightcl: hold: share and most are parts of the channels"),
        (("--method", "magic"), 2, "is one of bias, scheme, tinytrain, full, not 'magic'"),
        (("--budget", "10"), 7, "lightcl: method 'full' takes at least"),
    ],
)
def test_what_no_board_would_do_is_a_sentence(arguments, code, words):
    given = ("continual", "--sequence", "negatives", "--model", str(GLYPH), "--strategy", "lightcl", *arguments)
    result = CliRunner().invoke(cli.main, given)
    assert (result.exit_code, result.stdout) == (code, "") and words in result.stderr
