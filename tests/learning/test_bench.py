"""The command: rows, what a stopped run knows, refusals."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import cli, partition, tlm
from tinylearn_host.learning import bench, costs, report, tasks
from tinylearn_host.learning.arithmetic import Integers, Job
from tinylearn_host.paths import MODELS

GLYPH = MODELS / "glyph" / "glyph.tlm"


@pytest.fixture(autouse=True)
def journals(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "JOURNALS", tmp_path / "journals")
    return tmp_path / "journals"


@pytest.fixture
def file(tmp_path):
    """Four classes of blurred squares in four corners, ten each."""
    random = np.random.default_rng(0)
    x = np.zeros((40, 28, 28), np.uint8)
    for i, image in enumerate(x):
        row, column = 3 + 12 * (i % 4 // 2), 3 + 12 * (i % 2)
        image[row : row + 9, column : column + 9] = random.integers(100, 255, (9, 9))
    path = tmp_path / "few.npz"
    np.savez(path, x=x, y=np.arange(40) % 4)
    return path


def run(*arguments):
    return CliRunner().invoke(cli.main, ["benchmark", *map(str, arguments)], catch_exceptions=False)


def test_rows_of_a_users_file(file, tmp_path):
    output = tmp_path / "run.json"
    result = run(
        *("--dataset", file, "--way", 3, "--shot", 2, "--episodes", 3, "--jobs", 1, "--steps", 2, "--layers", 2),
        *("--method", "none,prototype,bias", "--output", output, "--json"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == json.loads(output.read_text())
    names = [(row["method"], row["arithmetic"]) for row in found["rows"]]
    floats = [(method, "float32") for method in ("prototype", "bias")]
    assert sorted(names) == sorted([("none", "int8"), ("prototype", "int8"), ("bias", "int8"), *floats])
    by_name = dict(zip(names, found["rows"], strict=True))
    assert by_name["none", "int8"]["mean"] == pytest.approx(100 / 3, abs=0.01)
    assert by_name["prototype", "int8"]["mean"] > 60
    for method in ("prototype", "bias"):
        assert by_name[method, "int8"]["mean"] == pytest.approx(by_name[method, "float32"]["mean"], abs=12)
    assert by_name["bias", "int8"]["costs"]["macs"] > by_name["prototype", "int8"]["costs"]["macs"]
    assert report.text(found).count("\n") == 6


def test_a_run_goes_on_where_it_was_stopped(file, journals, monkeypatch):
    options = ("--dataset", file, "--way", 3, "--shot", 2, "--jobs", 1, "--method", "prototype", "--arithmetic", "int8")
    assert run(*options, "--episodes", 3, "--json").exit_code == 0
    [journal] = journals.iterdir()
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0].replace(lines[0].split()[1], "12.5]"), lines[1], lines[2][:4]]))
    found = json.loads(run(*options, "--episodes", 5, "--json").stdout)["rows"][0]["accuracies"]
    first, second = json.loads(lines[0])[0], json.loads(lines[1])
    assert found[first] == 12.5  # taken from the journal, not computed again
    assert found[second[0]] == pytest.approx(second[1], abs=1e-3)
    assert len(found) == 5


def test_several_processes_find_the_same(file):
    options = ("--dataset", file, "--way", 3, "--shot", 1, "--episodes", 4, "--method", "prototype", "--json")
    one, two = (json.loads(run(*options, "--seed", 5, "--jobs", jobs).stdout) for jobs in (1, 2))
    assert one == two


def test_a_run_that_has_no_more_time_has_the_first_episodes(file, monkeypatch):
    """The clock stands for what ran out of it."""

    def two_of(waiting, limit):
        assert limit == 7
        for done in sorted(waiting, key=waiting.get)[:2]:
            done.result()
            yield done
        raise bench.TimeIsUp

    monkeypatch.setattr(bench, "as_completed", two_of)
    options = ("--method", "prototype,closed_form", "--arithmetic", "int8", "--jobs", 1, "--limit", 7, "--json")
    [row] = json.loads(run("--dataset", file, "--way", 3, "--shot", 2, "--episodes", 9, *options).stdout)["rows"]
    assert row["method"] == "prototype" and len(row["accuracies"]) == row["units"] == 2 and row["costs"]["macs"]


def test_rows_are_added_to_those_of_the_same_task(file, tmp_path):
    output = tmp_path / "run.json"
    options = ("--dataset", file, "--way", 3, "--shot", 2, "--jobs", 1, "--arithmetic", "int8", "--output", output)
    for method, seed, wanted in (
        ("prototype", 1, ["prototype"]),
        ("closed_form", 1, ["prototype", "closed_form"]),
        ("prototype", 1, ["prototype", "closed_form"]),
        ("last_layer", 2, ["last_layer"]),  # other episodes
    ):
        assert run(*options, "--episodes", 3, "--method", method, "--seed", seed).exit_code == 0
        assert [row["method"] for row in json.loads(output.read_text())["rows"]] == wanted


def test_rows_that_must_go_are_named_before(file, tmp_path):
    output, other = tmp_path / "run.json", tmp_path / "other.tlm"
    tlm.save(partition.with_schemes(tlm.read(GLYPH), []), other)
    options = ("--dataset", file, "--way", 3, "--shot", 2, "--jobs", 1, "--arithmetic", "int8", "--output", output)
    options += ("--episodes", 2, "--method", "prototype")
    first, same, later = run(*options), run(*options), run(*options, "--model", other, "--seed", 2)
    assert "take their place" not in first.stderr + same.stderr
    assert f"{output} has 1 row with another model, seed: this run's take their place" in later.stderr
    assert json.loads(output.read_text())["setting"]["model"]["name"] == "other.tlm"


@pytest.mark.parametrize("text", ["mine", "[]", '{"rows": []}', '{"setting": {"episodes": 3}, "rows": [1]}'])
def test_an_output_that_is_something_else_stays(file, tmp_path, text):
    output = tmp_path / "notes.json"
    output.write_text(text)
    result = run("--dataset", file, "--way", 3, "--shot", 2, "--method", "prototype", "--output", output)
    assert (result.exit_code, output.read_text()) == (13, text)
    assert "is no JSON of an earlier run" in result.stderr


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (["--dataset", "moon"], 2, "there is no data set 'moon'"),
        (["--dataset", "glyphs"], 2, "glyphs needs a file, such as omniglot_background.npz"),
        (["--dataset", "digits", "--method", "magic"], 2, "there is no method 'magic' for this model"),
        (["--dataset", "digits", "--arithmetic", "int4"], 2, "int4"),
        (["--dataset", "keywords"], 2, "wants --model"),
        (
            ["--dataset", "digits", "--method", "full:ratoi=1"],
            2,
            "a row has no option 'ratoi'; there are augment, axis",
        ),
        (["--dataset", "digits", "--method", "tinytrain:ratio=3"], 2, "tinytrain: ratio is a share, above 0 and"),
        (["--dataset", "digits", "--method", "auto:views=many"], 2, "auto: views is a whole number"),
        (["--dataset", "digits", "--method", "bias", "--head", "magic"], 2, "bias: head is 'auto'"),
        (["--dataset", "digits", "--output", "/proc/none/x.json"], 2, "cannot write /proc/none/x.json: No such file"),
        (["--dataset", "digits", "--output", "/tmp"], 2, "'/tmp' is a directory"),
        (["--dataset", "digits", "--model", "none.tlm"], 11, "cannot read none.tlm"),
    ],
)
def test_refusals(arguments, code, sentence):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr


def test_intervals_are_over_people():
    values, people = np.array([10.0, 20.0, 40.0, 60.0, 70.0, 70.0]), ["a", "a", "b", "b", "c", "c"]
    found = bench.interval(values, people)
    means = np.array([15.0, 50.0, 70.0])
    assert found == {"mean": 45.0, "interval": round(1.96 * means.std(ddof=1) / 3**0.5, 3), "units": 3}


def test_what_a_method_costs(file):
    model = tlm.read(GLYPH)
    task = tasks.open_task(tasks.SPECS["samples"], model, file, way=3, shot=2)
    prototype = costs.of(Job("prototype", "int8", 1), task, model)
    biases, full = (costs.of(Job(name, "int8", 1, {"layers": 3, "steps": 2}), task, model) for name in ("bias", "full"))
    forward = sum(op.macs for op in model.ops)
    assert prototype["macs"] == 6 * forward and prototype["saved"] == 0
    assert 0 < biases["saved"] < full["saved"] and biases["backward_macs"] < full["backward_macs"]
    weights = sum(model.tensors[model.ops[i].w].bytes for i in (8, 9, 10))
    assert biases["delta"] - prototype["delta"] == 3 * (4 * 128 + 12)
    assert full["delta"] > prototype["delta"] + weights


def test_the_seed_of_the_board_belongs_to_the_episode(file):
    model = tlm.read(GLYPH)
    task = tasks.open_task(tasks.SPECS["samples"], model, file, way=3, shot=2)
    runner = Integers(Job("full", "int8", 1, {"steps": 2, "layers": 3}), task, model)
    once, again, other = (bytes(runner.adapted(task.episode(1, 0), n).arena) for n in (0, 0, 1))
    assert once == again and once != other


def test_a_method_without_room_leaves_the_others(file):
    options = (
        "--dataset",
        file,
        "--way",
        3,
        "--shot",
        2,
        "--episodes",
        2,
        "--jobs",
        1,
        "--arithmetic",
        "int8",
        "--json",
    )
    found = json.loads(run(*options, "--method", "prototype,full:budget=3000").stdout)
    assert [row["method"] for row in found["rows"]] == ["prototype"]
    assert "takes at least" in found["setting"]["refused"]["full int8"]


def test_one_person_alone_has_an_interval_over_episodes():
    values = np.array([80.0, 90.0, 85.0, 95.0])
    assert bench.interval(values, ["ann"] * 4) == bench.interval(values, ["0", "1", "2", "3"])
