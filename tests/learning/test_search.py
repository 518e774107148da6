"""The search for schemes: contributions by real fine-tunes, the front by an evolutionary search, what comes of it."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import cli, errors, partition, tlm
from tinylearn_host.learning import arithmetic, bench, search
from tinylearn_host.training_sections import WEIGHTS

from firmware import small_model


class Here:
    """An executor in this process. done: what it was given."""

    def __init__(self):
        self.done = []

    def submit(self, function, *arguments):
        self.done.append(arguments)
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture(autouse=True)
def journals(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "JOURNALS", tmp_path / "journals")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.tlm"
    tlm.save(partition.prepare(tlm.read(tlm.build(small_model.graph(head=False)))), path)
    return path


@pytest.fixture
def data(tmp_path):
    """Five pictures with much noise, ten of each."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 10)
    x = np.clip(random.integers(60, 196, (5, 8, 8))[y] + random.normal(0, 60, (50, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return tmp_path / "data.npz"


@pytest.fixture
def plan(model, data):
    setting = bench.Setting("samples", model, data, 4, 3, ())
    budgets = (3 << 10, 4 << 10, 6 << 10)
    return search.Plan(setting, budgets, seed=1, episodes=2, options=(("steps", 2), ("head", "prototype")), trials=60)


def run(plan, workers) -> search.Result:
    return search.search(plan, tlm.read(plan.setting.model), workers, lambda what, done, total: None)


def test_the_schemes_fit_and_are_measured(plan):
    model, here = tlm.read(plan.setting.model), Here()
    result = run(plan, here)
    assert len(result.contributions.ops) == 3 and len(result.contributions.bias) == 4
    assert [row.budget for row in result.rows] == list(plan.budgets)
    tried = {entries for _, _, entries, _ in here.done}
    for row in result.rows:
        if row.found:
            assert row.found.bytes <= row.budget
            assert row.found.entries in tried
        if row.kept:
            best = max(a for a in (row.accuracy, row.usual_accuracy) if a is not None)
            assert row.accuracy == best or row.kept.entries == row.usual
    assert result.schemes()
    assert tlm.read(partition.with_schemes(model, result.schemes()).raw).schemes == result.schemes()


@pytest.mark.parametrize("shares", [(0, 0, 0), (1, 0, 4), (4, 1, 1)])
def test_bytes_are_those_that_the_board_plans_with(plan, shares):
    """In so many it trains all of a scheme, and in one less it does not: not without plain kernels."""
    model = partition.with_schemes(tlm.read(plan.setting.model), [])
    ops = search.layers(model, None)
    entries = search.scheme_of(model, ops, 3, dict(zip(ops, shares, strict=True)))
    taken = search.least_bytes(arithmetic.in_place(model), entries, 12, 4)
    assert taken <= partition.adapting_bytes(model, entries, 12, 4)
    board = arithmetic.in_place(partition.with_schemes(model, [search.Scheme("it", 0, 8, entries)]))
    tail, tuning = arithmetic.firmware("tail"), arithmetic.firmware("tuning")
    for budget, fits in ((taken, True), (taken - 1, False)):
        settings = tuning.Settings(board, {"method": "scheme", "budget": budget})
        budgets = tuning.Budgets(board, 12, 4, settings)
        choice = {e.op: tail.Trained(e.flags, e.axis, e.first, e.count, None) for e in entries}
        assert bool(budgets.fit(choice, 8)) == fits


def test_one_worker_or_many_find_the_same(plan, monkeypatch, tmp_path):
    alone = run(plan, Here())
    monkeypatch.setattr(bench, "JOURNALS", tmp_path / "of two")
    with search.executor(2, None) as workers:
        assert run(plan, workers) == alone


def test_a_dask_cluster_of_two_finds_the_same(plan, monkeypatch, tmp_path):
    from distributed import LocalCluster

    alone = run(plan, Here())
    monkeypatch.setattr(bench, "JOURNALS", tmp_path / "of a cluster")
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, search.executor(1, cluster.scheduler_address) as workers:
        assert run(plan, workers) == alone


def test_a_run_goes_on_where_it_was_stopped(plan):
    full, none, rest = Here(), Here(), Here()
    whole = run(plan, full)
    assert run(plan, none) == whole and not none.done
    journals = sorted(bench.JOURNALS.glob("*"))[:5]
    for journal in journals:  # stopped while it wrote the second line
        journal.write_text(journal.read_text()[:-4])
    assert run(plan, rest) == whole
    assert len(rest.done) == len(journals)


def test_the_front_has_the_best_of_all(plan):
    """Beside every scheme there is, for contributions made up."""
    model = partition.with_schemes(tlm.read(plan.setting.model), [])
    ops = search.layers(model, None)
    random = np.random.default_rng(3)
    weight = {(op, share): float(random.normal(1, 2)) for op in ops for share in plan.ratios}
    known = search.Contributions(50.0, tuple(ops), (0.0, *map(float, random.normal(0, 2, len(ops)))), weight)
    board = arithmetic.in_place(model)
    found = search.front(replace(plan, trials=400), model, known, lambda *_: None)
    assert [c.bytes for c in found] == sorted(c.bytes for c in found)
    everything = []
    for k in range(1, len(ops) + 1):
        for shares in itertools.product((0, *plan.ratios), repeat=k):
            chosen = dict(zip(ops, shares, strict=False))
            entries = search.scheme_of(model, ops, k, chosen)
            everything.append((search.least_bytes(board, entries, 12, 4), known.promise(k, chosen)))
    for budget in {size for size, _ in everything}:
        best = max(promise for size, promise in everything if size <= budget)
        assert max(c.promise for c in found if c.bytes <= budget) == pytest.approx(best)


def test_shares_of_channels(plan):
    model = tlm.read(plan.setting.model)
    pointwise, depthwise, conv = search.layers(model, None)
    entries = search.scheme_of(model, [pointwise, depthwise, conv], 3, {pointwise: 4, depthwise: 4})
    of = {entry.op: entry for entry in entries}
    assert (of[pointwise].count, of[depthwise].count) == (2, 2)  # of eight input channels, and of eight channels
    assert not of[conv].flags & WEIGHTS


def search_command(plan, *arguments):
    setting = plan.setting
    where = ("search", setting.model, "--data", setting.file, "--way", 4, "--shot", 3, "--jobs", 1)
    return CliRunner().invoke(cli.main, [str(a) for a in (*where, *arguments)])


def test_the_command(plan, tmp_path):
    out, plot = tmp_path / "out.tlm", tmp_path / "plot.svg"
    small = ("--episodes", 2, "--steps", 1, "--trials", 40, "--ratios", "1", "--ram", "3K,6K")
    result = search_command(plan, *small, "-o", out, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "a head alone" in result.stdout and "rule of thumb" in result.stdout
    assert {scheme.name for scheme in tlm.read(out).schemes} <= {"3K", "6K"} and tlm.read(out).schemes
    assert plot.read_text().startswith("<?xml")
    report = json.loads(search_command(plan, *small, "--json").stdout)
    assert [row["budget"] for row in report["budgets"]] == [3072, 6144]
    assert plan.setting.model.read_bytes() == out.read_bytes()  # into the model itself, where nobody says
    assert plan.setting.model.with_suffix(".svg").read_text().startswith("<?xml")


def test_a_model_with_found_schemes_is_searched_no_slower(plan, monkeypatch):
    small = ("--episodes", 2, "--steps", 1, "--trials", 40, "--ratios", "1", "--ram", "3K")
    first = search_command(plan, *small, "--json").stdout
    monkeypatch.setattr(search, "fine_tune", None)  # all is known
    assert search_command(plan, *small, "--json").stdout == first


def test_a_model_keeps_its_schemes_where_nothing_fits(plan):
    before = plan.setting.model.read_bytes()
    result = search_command(plan, "--episodes", 1, "--steps", 1, "--trials", 10, "--ratios", "1", "--ram", "100")
    assert result.exit_code == errors.NOT_ENOUGH_RAM and "nothing that can be trained fits" in result.stderr
    assert plan.setting.model.read_bytes() == before


def test_a_search_wants_data(plan, data):
    result = CliRunner().invoke(cli.main, ["search", str(plan.setting.model), "--data", str(data.parent)])
    assert result.exit_code == errors.USAGE and "say what to tune on" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ratios", "3"), "--ratios are of 1, 2, 4, 8"),
        (("--ram", "3K,lots"), "'lots' is no number of bytes"),
        (("-o", "x.bin"), "must end in .tlm"),
        (("--rate", "-1"), "scheme: rate is a number between 1e-6 and 1000"),
        (("--head", "magic"), "scheme: head is 'auto'"),
        (("--dask", "tcp://127.0.0.1:1"), "no Dask scheduler answers"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(plan, arguments, words, monkeypatch):
    monkeypatch.setattr(search, "PATIENCE", "1s")
    result = search_command(plan, *arguments)
    assert result.exit_code == errors.USAGE and words in result.stderr
