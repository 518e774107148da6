"""tinylearn partition: what training takes, in words, as JSON and as a page; and that all of it adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import boards, digits, errors, partition, paths, tlm, training_report
from tinylearn_host.cli import main
from tinylearn_host.training_report import METHODS, Task, Training

GLYPH = paths.MODELS / "glyph" / "glyph.tlm"
TASK = Task(budget=96 << 10)


def tinylearn(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(*arguments) -> dict:
    result = tinylearn("partition", GLYPH, "--board", "pico", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@cache
def training(method: str) -> Training:
    return training_report.find(tlm.read(GLYPH), method, TASK)


@pytest.mark.parametrize("method", METHODS)
def test_memory_adds_up_to_what_the_board_reckons(method):
    found = training(method)
    assert sum(training_report.memory(found).values()) == found.fit.bytes <= TASK.budget
    assert all(size >= 0 for size in training_report.memory(found).values())


@pytest.mark.parametrize("method", METHODS)
def test_no_two_blocks_have_a_byte_in_common(method):
    found = training_report.blocks(training(method))
    last = len(training_report.steps(training(method))) - 1
    for a, b in combinations(found, 2):
        if a["first"] <= b["last"] and b["first"] <= a["last"]:
            assert a["at"] + a["bytes"] <= b["at"] or b["at"] + b["bytes"] <= a["at"], (a, b)
    assert max(b["at"] + b["bytes"] for b in found) == training(method).fit.arena
    assert all(0 <= b["first"] <= b["last"] <= last for b in found)
    assert {b["kind"] for b in found} >= {"activation", "gradient", "mask", "scratch", "tables", "cache"}


@pytest.mark.parametrize("method", METHODS)
def test_layers_add_up_to_what_the_board_counts(method):
    rows, (frozen, forward, back) = training_report.layers(training(method)), training(method).tail.macs
    assert sum(row["macs_forward"] for row in rows if row["state"] == "frozen") == frozen
    assert sum(row["macs_forward"] for row in rows if row["state"] != "frozen") == forward
    assert sum(row["macs_grad_input"] + row["macs_grad_weight"] for row in rows) == back
    trained = [row["index"] for row in rows if row["state"] == "trained"]
    assert trained == sorted(training(method).tail.choice)
    assert all(row["trained_weights"] == 0 for row in rows) == (method == "bias")


def test_a_step_takes_two_forwards_and_a_backward_of_every_sample():
    """From the forward's cycles: what each operator's backward takes beside it is in tuning.py, measured."""
    tuning = import_module("tinylearn.tuning")
    board = replace(boards.find("pico"), cycles_per_mac={"conv": 5, "depthwise": 9, "dense": 7})
    chosen = training_report.find(tlm.read(GLYPH), "full", TASK, board)
    kinds, cycles = {"conv2d": 5, "depthwise_conv2d": 9, "mean": 0}, 0.0
    for row in training_report.layers(chosen):
        runs = 0 if row["state"] == "frozen" else 2
        back = tuning.BACK * (row["state"] in ("trained", "passes"))
        back += tuning.BACK_INPUT * (row["macs_grad_input"] > 0) + tuning.BACK_WEIGHTS * (row["macs_grad_weight"] > 0)
        cycles += (runs + back) * kinds[row["operator"]] * row["macs_forward"]
    assert chosen.fit.step + chosen.fit.saved == pytest.approx(25 * (cycles + tuning.AROUND) / 125e6)


def test_the_report_of_a_budget():
    found = report("--ram", "96K")
    assert [row["method"] for row in found["methods"]] == list(METHODS)
    assert found["method"] == "scheme" and found["budget"] == 98304
    assert all(row["ram_bytes"] <= 98304 and row["seconds_per_step"] > 0 for row in found["methods"])
    assert found["layout"]["lower_bound"] <= found["layout"]["board"] <= 1.05 * found["layout"]["lower_bound"]
    assert found["ram_bytes"] == sum(found["memory"].values())


def test_fewer_layers_take_less():
    few, many = (report("--ram", "128K", "--method", "bias", "--tail", k) for k in (2, 8))
    assert len(few["layers"]) == len(many["layers"])
    assert few["cut"] > many["cut"] and few["layout"]["board"] < many["layout"]["board"]


def test_without_a_budget_it_is_what_the_board_has_left():
    found, ample = report(), report("--ram", "4M")
    assert found["budget"] < boards.find("pico").heap_bytes
    assert found["ram_bytes"] <= found["budget"] < ample["ram_bytes"]


def test_the_words(tmp_path):
    result = tinylearn("partition", GLYPH, "--board", "pico", "--ram", "96K", "--report", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "5 classes x 5 examples, 96.0 KB of RAM" in said
    assert "ratio 1.0" in said and "in all" in said
    assert "are left for training, unless tinylearn is built into the firmware" in said
    assert "\u2026" not in said  # no column is cut short


def test_the_page_draws_every_block_and_needs_nothing_else(tmp_path):
    facts = report("--ram", "96K", "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "http" not in page and "<script" not in page and "url(" not in page
    svg = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    rectangles = svg.findall("rect")
    assert len(rectangles) == len([block for block in facts["blocks"] if block["bytes"]])
    titles = [rectangle.find("title").text for rectangle in rectangles]
    assert any("gradient of the output of conv2d" in title for title in titles)
    areas = sum(float(r.get("width")) * float(r.get("height")) for r in rectangles)
    assert areas <= 1.001 * training_report.Picture.WIDTH * training_report.Picture.HEIGHT
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_fit_is_refused_with_the_numbers(method, tmp_path):
    out = tmp_path / "o.tlm"
    result = tinylearn("partition", GLYPH, "--board", "pico", "--ram", "12K", "--method", method, "-o", out)
    assert result.exit_code == errors.NOT_ENOUGH_RAM
    assert "glyph: method" in result.stderr and "budget is 12288" in result.stderr
    assert not out.exists()


def test_a_model_that_no_scheme_fits_is_refused_with_the_numbers(tmp_path):
    bare = tmp_path / "bare.tlm"
    tlm.save(partition.with_schemes(tlm.read(GLYPH), []), bare)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "prepare", lambda model: model)  # as if its features were too many for any
        result = tinylearn("partition", bare, "--board", "pico", "--ram", "12K")
    assert result.exit_code == errors.NOT_ENOUGH_RAM
    assert "at least" in result.stderr and "budget is 12288" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ram", "96Z"), "is no number of bytes"),
        (("--scheme", "none such"), "no scheme 'none such'"),
        (("--ram", "96K", "-o", "model.bin"), "must end in .tlm"),
        (("--board", "toaster"), "there is no board 'toaster'"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(arguments, words):
    result = tinylearn("partition", GLYPH, "--board", "pico", *arguments)
    assert result.exit_code == errors.USAGE and words in result.stderr


def test_the_scheme_that_is_written_can_be_trained(tmp_path):
    """-o adds a scheme for the RAM; a board trains it within that."""
    path = tmp_path / "o.tlm"
    report("--ram", "80K", "--ways", "3", "--shots", "4", "-o", path)
    written, before = tlm.read(path), tlm.read(GLYPH)
    assert {scheme.name for scheme in written.schemes} == {"80K", *(scheme.name for scheme in before.schemes)}
    support, query = digits.task(4, 4, 1)
    for name, samples in (("s", support), ("q", query)):
        few = [i for i, y in enumerate(samples.y) if y < 3]
        np.savez(tmp_path / f"{name}.npz", x=samples.x[few], y=np.array(samples.y)[few])
    where = ("--board", "sim", "--support", tmp_path / "s.npz", "--query", tmp_path / "q.npz")
    options = ("--method", "scheme", "--scheme", "80K", "--budget", "80K", "--steps", 2, "--json")
    result = tinylearn("adapt", path, *where, *options)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["steps"]) == 2


def test_a_model_that_was_converted_before_is_prepared(tmp_path):
    bare = tlm.read(tlm.rewrite(tlm.read(GLYPH), {b"BWD ": None, b"COST": None, b"SCHM": None}))
    tlm.save(bare, tmp_path / "old.tlm")
    result = tinylearn("partition", tmp_path / "old.tlm", "--board", "sim", "--ram", "96K", "-o", tmp_path / "new.tlm")
    assert result.exit_code == 0, result.output
    assert tlm.read(tmp_path / "new.tlm").backward == tlm.read(GLYPH).backward


@pytest.mark.parametrize("side", [2, 4])
def test_filtering_takes_as_many_times_less_as_there_are_pixels_in_a_patch(side):
    """Of 1x1 convolutions; maps whose side is no multiple of a patch's have a patch more."""
    model = tlm.read(GLYPH)
    exact, filtered = (training_report.find(model, "full", Task(), layers=6, filter=f) for f in (None, side))
    pairs = list(zip(training_report.layers(exact), training_report.layers(filtered), strict=True))
    changed = [(a, b) for a, b in pairs if a["macs_grad_weight"] != b["macs_grad_weight"]]
    assert [a["index"] for a, _ in changed] == [6, 8, 10]  # the pointwise ones
    for a, b in changed:
        pixels, patches = a["output_shape"][0] ** 2, (-(-a["output_shape"][0] // side)) ** 2
        assert b["macs_grad_weight"] == a["macs_grad_weight"] * patches // pixels
        assert b["macs_grad_input"] == a["macs_grad_input"] * patches // pixels
        assert b["saved_bytes"] == (a["saved_bytes"] * patches // pixels + 3) & ~3
    least = partition.tail().lower_bound
    assert least(filtered.tail.live) <= least(exact.tail.live)
