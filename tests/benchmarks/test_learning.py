"""The document of how well boards learn, and the runs that it is made of."""

from __future__ import annotations

import learning
import learning_docs
import learning_tuned
import pytest
from tinylearn_host.learning import tasks


def row(method: str, arithmetic: str, accuracies: list[float], **costs) -> dict:
    mean = sum(accuracies) / len(accuracies)
    found = {"method": method, "arithmetic": arithmetic, "mean": mean, "interval": 1.5, "units": len(accuracies)}
    return {**found, "options": {}, "accuracies": accuracies, "costs": costs}


COSTS = {"ram": 2048, "saved": 1024, "macs": 5_000_000, "seconds": 7.0, "delta": 4096}
RESULT = {
    "setting": {
        "task": "words",
        "title": "spoken digits of a new speaker",
        "way": 10,
        "shot": 5,
        "episodes": 4,
        "seed": 1,
        "groups": ["george"],
        "model": {"name": "speech.tlm"},
    },
    "rows": [
        row("none", "int8", [10.0] * 4),
        row("full", "int8", [90.0, 80.0, 85.0, 87.0], **COSTS),
        row("full", "int16", [92.0, 82.0, 86.0, 88.0], **COSTS),
        row("full", "float32", [92.0, 81.0, 87.0, 88.0]),
    ],
}


def test_a_row_for_each_method():
    text = learning_docs.text([RESULT])
    assert "## spoken digits of a new speaker: 10-way 5-shot" in text and "Unseen: george." in text
    line = next(line for line in text.splitlines() if line.startswith("| full |"))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:4] == ["full", "85.5 ± 1.5", "87.0 ± 1.5", "87.0 ± 1.5"]
    assert cells[4].startswith("**-1.50 ±") and cells[5:] == ["2.0 KB", "1.0 KB", "5 M", "7", "4.0 KB"]


def test_differences_are_paired_and_bold_where_they_are_large():
    of = learning_docs.rows_of(RESULT)["full"]
    # -2, -1, -2, -1: mean -1.5, standard deviation 0.577
    assert learning_docs.difference(of) == "**-1.50 ± 0.57**"
    assert learning_docs.difference(of, "int16") == "+0.00 ± 0.80"
    assert learning_docs.difference(learning_docs.rows_of(RESULT)["none"]) == ""


def test_the_picture_is_the_same_for_the_same_results(tmp_path):
    for name in ("a.svg", "b.svg"):
        learning_docs.picture([RESULT], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"words 10-way 5-shot" in (tmp_path / "a.svg").read_bytes()


def test_the_document_is_that_of_the_committed_results():
    assert learning_docs.TARGET.read_text() == learning_docs.text(learning_docs.load())


@pytest.mark.parametrize("run", learning.RUNS, ids=lambda run: run.name)
def test_runs_name_tasks_and_models(run):
    assert run.dataset in tasks.SPECS
    assert run.held_out in learning.HELD_OUT or run.held_out.startswith("models/")
    assert run.name == f"{run.dataset}-{run.way}-way-{run.shot}-shot"


def test_without_meta_training_the_same_tasks_are_asked():
    assert {run.held_out for run in learning.RUNS if run.name in learning.CLASSES} == {"glyph"}
    assert set(learning.CLASSES) <= {run.name for run in learning.RUNS}


def test_schemes_that_a_search_found():
    setting = {"task": "words", "way": 3, "shot": 2, "episodes": 4, "model": "speech.tlm"}
    weights = [{"operator": 9, "share": "1/1", "gain": 3.25}, {"operator": 9, "share": "1/4", "gain": 1.5}]
    budget = {"budget": 65536, "head_alone": 80.0, "bytes": 40960, "found": 85.0, "rule_of_thumb": None}
    none = {"budget": 1024, "head_alone": 80.0, "bytes": None, "found": None, "rule_of_thumb": 81.0}
    found = {"setting": setting, "operators": [9, 8], "bias": [0.0, 0.5, -1.0], "weights": weights}
    lines = learning_docs._searches([{**found, "budgets": [budget, none]}]).splitlines()
    assert "| 9 | +0.5 | +3.2 | +1.5 |" in lines and "| 8 | -1.0 |  |  |" in lines
    assert "| 64.0 KB | 80.0 | 85.0 | 40.0 KB |  |" in lines and "| 1.0 KB | 80.0 |  |  | 81.0 |" in lines
    assert learning_docs._searches([]) == ""


def test_what_was_tuned_is_compared_with_its_base():
    """Over the tasks and episodes that both have, and the base has no difference of its own."""
    base = {"name": "before", "accuracies": {"a": [50, 60, 70], "b": [10, 20, 30]}}
    now = {"name": "now", "accuracies": {"a": [51, 62], "c": [1, 2]}}
    lines = learning_tuned.table({"base": "before", "rows": [base, now]}).splitlines()
    assert lines[2] == "| before | | 2 | | |"
    assert lines[3] == "| now | +1.50 ± 0.98 | 1 | +1.50 (a) | +1.50 (a) |"
    assert learning_tuned.FILE.exists() and "## What defaults were chosen by" in learning_tuned.text()
