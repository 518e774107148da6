"""Teaching a board over its serial port: the board's answers are the simulator's, and the report is true."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tinylearn_host import cli, curves, errors, flash, partition, samples, simulator, streaming, tlm
from tinylearn_host.errors import TinylearnError
from tinylearn_host.transport import connect

from firmware import small_model

KEYS = ("accuracy_before", "accuracy_after", "seconds", "arena_bytes", "peak_heap_bytes", "method", "board")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With a classifier of six classes, named as small_model.LABELS."""
    return small_model.write(tmp_path_factory.mktemp("model") / "model.tlm")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Without a classifier."""
    return small_model.write(tmp_path_factory.mktemp("model") / "backbone.tlm", head=False)


def task(dtype=np.uint8, names=("cat", "dog", "owl"), shots=4, queries=5, seed=0):
    """Noisy copies of one picture per class, as a support and a query set."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (len(names), 8, 8))

    def draw(count):
        y = np.repeat(np.arange(len(names)), count)
        pixels = np.clip(pictures[y] + random.normal(0, 30, (len(y), 8, 8)), 0, 255).astype(np.uint8)
        x = {"uint8": pixels, "int8": (pixels.astype(int) - 128).astype(np.int8), "float32": pixels / np.float32(255)}
        return x[np.dtype(dtype).name], np.array(names)[y]

    return draw(shots), draw(queries)


def sets(*args, **options):
    return [samples.check(x, y) for x, y in task(*args, **options)]


def on_board(port, model, support, query, **options):
    with connect(port) as board:
        flash.flash(board, model)
        return streaming.adapt(board, model, flash.MODEL, support, query, **options)


def simulated(model, support, query, **options):
    return streaming.adapt(None, model, flash.MODEL, support, query, **options)


@pytest.mark.parametrize("method", ["prototype", "last_layer"])
def test_the_board_answers_as_the_simulator(board_port, backbone, method):
    support, query = sets()
    board = on_board(board_port, backbone, support, query, method=method, steps=5)
    sim = simulated(backbone, support, query, method=method, steps=5)
    assert board.after == sim.after
    assert board.confidence == pytest.approx(sim.confidence, abs=1e-6)
    assert board.accuracy_after > 0.8  # else equal answers would say little
    assert board.accuracy_before == pytest.approx(1 / 3)
    assert board.seconds > 0
    assert board.arena_bytes == tlm.read(backbone).arena


@pytest.mark.boards("unix", "qemu-m3")
def test_ctrl_c_while_the_board_trains(board_port, board_name, backbone, tmp_path, monkeypatch):
    """The command ends with its exit code, and the board is well: its program is stopped, its model as it was."""
    for name, (x, y) in zip(("support", "query"), task(), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    note = streaming._note

    def pressed(outcome, said):
        note(outcome, said)
        if said["event"] == "step" and said["step"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(streaming, "_note", pressed)
    files = ["--support", str(tmp_path / "support.npz"), "--query", str(tmp_path / "query.npz")]
    called = ["adapt", str(backbone), "--board", board_name, "--port", board_port, *files, "--method", "bias"]
    ended = CliRunner().invoke(cli.main, [*called, "--steps", "1000"])
    assert ended.exit_code == errors.INTERRUPTED, ended.output
    assert "stopped by Ctrl-C" in ended.output
    with connect(board_port) as board:
        said = board.exec("import os, tinylearn\nm = tinylearn.load()\nprint(m.head, m.changed, sorted(os.listdir()))")
        assert said.startswith("None ()")
        assert ".tmp" not in said


@pytest.mark.boards("unix", "pico-emulated")
def test_every_kind_of_sample_teaches_the_same(board_port, backbone):
    """The same pictures as pixels, as int8 and as real values, whose quantisation is the board's own work."""
    answers = [on_board(board_port, backbone, *sets(dtype)) for dtype in (np.uint8, np.int8, np.float32)]
    assert answers[0].after == answers[1].after == answers[2].after
    assert answers[0].confidence == answers[1].confidence == answers[2].confidence


@pytest.mark.boards("unix", "qemu-m3")
def test_before_is_the_model_as_it_came_where_it_knows_the_classes(board_port, model):
    support, query = sets(names=("one", "two", "five"))
    board = on_board(board_port, model, support, query)
    sim = simulated(model, support, query)
    assert len(board.before) == len(query)
    assert board.before == sim.before
    assert set(board.before) <= set(small_model.LABELS)
    assert board.after == sim.after
    right = [said == y for said, y in zip(board.before, query.y, strict=True)]
    assert board.accuracy_before == pytest.approx(np.mean(right))


def test_classes_that_are_numbers(backbone):
    support, query = sets(names=(30, 7, 11))
    outcome = simulated(backbone, support, query)
    assert set(outcome.after) == {7, 11, 30}
    assert outcome.accuracy_after > 0.8


@pytest.mark.boards("unix")
def test_more_examples_than_the_board_has_ram_for(board_port, tmp_path):
    """Real values of one set fill 1.2 times the heap; one sample of it is there at a time."""
    backbone = small_model.write(tmp_path / "backbone.tlm", head=False)
    support, query = sets(np.float32, shots=820, queries=3)
    with connect(board_port) as board:
        flash.flash(board, backbone)
        free = board.eval("gc.mem_free()", "import gc\ngc.collect()")
        assert support.x.nbytes > 1.2 * free
        outcome = streaming.adapt(board, backbone, flash.MODEL, support, query, method="prototype")
    assert outcome.accuracy_after > 0.8


def test_peak_heap_is_what_the_board_used(board_port, backbone):
    support, query = sets()
    outcome = on_board(board_port, backbone, support, query)
    with connect(board_port) as board:
        heap = board.eval("gc.mem_free() + gc.mem_alloc()", "import gc")
        model_and_arena = backbone.stat().st_size + tlm.read(backbone).arena
        assert outcome.code_heap_bytes + model_and_arena <= outcome.peak_heap_bytes < heap


def test_each_step_is_told_as_it_happens(board_port, backbone):
    support, query = sets()
    heard = []
    outcome = on_board(board_port, backbone, support, query, watch=heard.append, method="last_layer", steps=4)
    told = [said for said in heard if said["event"] == "step"]
    assert [(said["step"], said["steps"]) for said in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert outcome.steps == [{key: said[key] for key in ("step", "loss", "accuracy")} for said in told]
    assert outcome.steps[-1]["loss"] < outcome.steps[0]["loss"]
    assert heard.index(told[0]) > max(i for i, said in enumerate(heard) if said["event"] == "taught")


def adapt_command(backbone, tmp_path, *arguments):
    for name, (x, y) in zip(("s", "q"), task(), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    files = ("--board", "sim", "--support", tmp_path / "s.npz", "--query", tmp_path / "q.npz")
    return CliRunner().invoke(cli.main, [str(a) for a in ("adapt", backbone, *files, *arguments)])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_course_of_training_is_plotted(backbone, tmp_path, suffix):
    path = tmp_path / f"curves.{suffix}"
    result = adapt_command(backbone, tmp_path, "--method", "last_layer", "--steps", 6, "--plot", path)
    assert result.exit_code == 0, result.output
    assert "in 6 steps" in result.stdout and "█" in result.stdout
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


def test_losses_of_all_steps_are_in_the_json(backbone, tmp_path):
    result = adapt_command(backbone, tmp_path, "--method", "last_layer", "--steps", 6, "--json")
    report = json.loads(result.stdout)
    assert [step["step"] for step in report["steps"]] == [1, 2, 3, 4, 5, 6]
    assert report["steps"][-1]["loss"] < report["steps"][0]["loss"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "prototype", "--plot", "x.png"), "method prototype has none"),
        (("--method", "last_layer", "--plot", "x.jpeg"), ".png, .svg, .pdf, not x.jpeg"),
        (("--budget", "48Q"), "'48Q' is no number of bytes"),
        (("--augment", "shift"), "not kind=amount"),
        (("--width", "9"), "'9' is not one of"),
    ],
)
def test_options_that_mean_nothing(backbone, tmp_path, arguments, words):
    result = adapt_command(backbone, tmp_path, *arguments)
    assert result.exit_code == errors.USAGE
    assert words in result.stderr


def test_a_model_that_cannot_be_trained_is_refused_before_a_board_is_looked_for(backbone, tmp_path):
    bare = tmp_path / "bare.tlm"
    sections = {b"BWD ": None, b"COST": None, b"SCHM": None}
    tlm.save(tlm.read(tlm.rewrite(tlm.read(backbone), sections)), bare)
    arguments = ("--board", "pico", "--method", "bias")  # the last board counts
    result = adapt_command(bare, tmp_path, *arguments)
    assert result.exit_code == errors.BAD_MODEL and "tinylearn partition" in result.stderr
    trainable = tmp_path / "trainable.tlm"
    tlm.save(partition.with_schemes(partition.prepare(tlm.read(backbone)), []), trainable)
    result = adapt_command(trainable, tmp_path, "--board", "pico", "--method", "scheme")
    assert result.exit_code == errors.BAD_MODEL and "has no scheme" in result.stderr
    result = adapt_command(trainable, tmp_path, "--board", "pico", "--method", "bias", "--scheme", "x")
    assert result.exit_code == errors.USAGE and "no scheme 'x'" in result.stderr


@pytest.mark.parametrize("method", ["bias", "scheme", "full"])
def test_the_network_is_trained(backbone, tmp_path, method):
    """All of the options that the board knows go through, and each step is told."""
    trainable = tmp_path / "trainable.tlm"
    tlm.save(partition.prepare(tlm.read(backbone)), trainable)
    options = ("--views", 2, "--width", 16, "--augment", "shift=1x2,border=edge", "--seed", 3, "--rate", 0.01)
    more = ("--head", "prototype", "--budget", "64K", "--time-budget", 1000, "--cache", "ram", "--steps", 3)
    result = adapt_command(trainable, tmp_path, "--method", method, *options, *more, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [step["step"] for step in report["steps"]] == [1, 2, 3]
    assert all(step["loss"] > 0 and 0 <= step["accuracy"] <= 1 for step in report["steps"])
    tight = adapt_command(trainable, tmp_path, "--method", method, "--budget", "1K")
    assert tight.exit_code == errors.NOT_ENOUGH_RAM and "takes at least" in tight.stderr


def test_task_after_task(board_name, board_port, backbone, tmp_path):
    """With --continual a board goes on from what it has saved, with the simulator's bits, and is asked about all."""
    trainable = tmp_path / "trainable.tlm"
    tlm.save(partition.prepare(tlm.read(backbone)), trainable)
    here = tinylearn_of(trainable)
    known: list = []
    given = {"method": "full", "layers": 2, "steps": 2, "views": 0, "seed": 5, "budget": 24000, "continual": "lightcl"}
    for seed, names in ((1, ("cat", "dog")), (2, ("owl", "fox"))):
        support, query = sets(names=names, shots=3, queries=2, seed=seed)
        known.append(query)
        asked = samples.check(
            np.concatenate([q.x for q in known]).reshape(-1, 8, 8), np.concatenate([q.y for q in known])
        )
        there = on_board(board_port, trainable, support, asked, **given, save=True)
        assert there.before == [here.predict(bytes(x))[0] for x in asked.x if here.head]
        here.adapt([(bytes(x), y) for x, y in zip(support.x, support.y, strict=True)], **given)
        wanted = [here.predict(bytes(x)) for x in asked.x]
        assert there.after == [label for label, _ in wanted]
        assert [round(32768 * p) for p in there.confidence] == [round(32768 * p) for _, p in wanted]
    assert set(here.labels) == {"cat", "dog", "owl", "fox"}
    result = adapt_command(trainable, tmp_path, "--method", "prototype", "--continual")
    assert (
        result.exit_code == errors.USAGE
        and "say --method bias, scheme, tinytrain, full, not prototype" in result.stderr
    )


@pytest.mark.boards("unix")
@pytest.mark.parametrize("how", ["lightcl", "replay"])
def test_a_task_of_one_class(board_port, backbone, how):
    """Beside others that were saved it is one; as the first there is nothing to tell it from."""
    (one, query), (two, _) = sets(names=("emu",)), sets(names=("cat", "dog"), seed=1)
    given = {"method": "full", "layers": 2, "steps": 2, "continual": how, "save": True}
    with pytest.raises(TinylearnError, match="the board refuses: one class only, 'emu'"):
        on_board(board_port, backbone, one, query, **given)
    on_board(board_port, backbone, two, query, **given)
    outcome = on_board(board_port, backbone, one, query, **given)
    assert set(outcome.before) == {"cat", "dog"} and outcome.after == ["emu"] * len(query)
    first, second = outcome.trained["known"]
    assert first.startswith("knows 3 classes: 3 rows")
    assert second.startswith("holds on to " if how == "lightcl" else "keeps 12 samples of earlier tasks")


@pytest.mark.boards("unix")
def test_a_full_flash_is_a_sentence(board_port, board_name, backbone):
    """What was learned cannot be kept: the command says so, and what was kept before counts."""
    support, query = sets()
    with connect(board_port) as board:
        board.exec("import os\nfor slot in '01':\n    os.system('ln -sf /dev/full model.tld.' + slot)")
    with pytest.raises(TinylearnError, match="learned it and cannot keep it: what was learned could not be") as error:
        on_board(board_port, backbone, support, query, method="prototype", save=True)
    assert error.value.exit_code == errors.NOT_ENOUGH_FLASH


def tinylearn_of(path):
    """The package of boards over the simulator, with a model."""
    simulator.on_path()
    from tinylearn.model import load

    return load(str(path), recall=False)


def test_without_matplotlib_it_says_what_to_install(backbone, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = adapt_command(backbone, tmp_path, "--method", "last_layer", "--plot", tmp_path / "x.png")
    assert result.exit_code == errors.USAGE and "tinylearn[plot]" in result.stderr


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80))
def test_a_sparkline_shows_where_values_are_high(values):
    line = curves.sparkline(values)
    assert len(line) == min(24, len(values)) and set(line) <= set(curves.BARS)
    if len(values) <= 24 and max(values) > 0:
        assert line[values.index(max(values))] == curves.BARS[-1]


def test_the_command(board_name, board_port, backbone, tmp_path):
    for name, (x, y) in zip(("s", "q"), task(), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    files = ("--support", tmp_path / "s.npz", "--query", tmp_path / "q.npz", "--json")
    reports = []
    for where in (("--board", board_name, "--port", board_port), ("--board", "sim")):
        result = CliRunner().invoke(cli.main, [str(a) for a in ("adapt", backbone, *where, *files)])
        assert result.exit_code == 0, result.output
        reports.append(json.loads(result.stdout))
        wholes = [round(32768 * p) for p in reports[-1]["confidences"]]  # some boards print fewer digits
        reports[-1]["confidences"] = wholes
    board, sim = reports
    assert set(KEYS) <= set(board)
    assert board["board"] == board_name
    assert board["method"] == "auto" and "held out in turn" in board["why"]
    assert board["before"] == "chance"
    for key in ("why", "accuracy_before", "accuracy_after", "arena_bytes", "predictions", "confidences"):
        assert board[key] == sim[key]


def _replace(task, **arrays):
    return {**dict(zip(("x", "y"), task, strict=True)), **arrays}


GOOD_X, GOOD_Y = task()[0]
BAD_SETS = {
    "no y": ({"x": GOOD_X}, "has no array y"),
    "an x of objects": ({"x": np.array([{}]), "y": GOOD_Y}, "not an .npz file that can be read"),
    "complex values": ({"x": GOOD_X.astype(complex), "y": GOOD_Y}, "expected uint8"),
    "int64 pixels": ({"x": GOOD_X.astype(int), "y": GOOD_Y}, "expected uint8"),
    "another number of labels": ({"x": GOOD_X, "y": GOOD_Y[1:]}, "has shape"),
    "no example": ({"x": GOOD_X[:0], "y": GOOD_Y[:0]}, "no example"),
    "labels that are reals": ({"x": GOOD_X, "y": np.arange(len(GOOD_X)) / 2}, "labels are whole numbers or strings"),
    "not a number": ({"x": np.full(GOOD_X.shape, np.nan, np.float32), "y": GOOD_Y}, "not finite, first in example 0"),
    "another size": ({"x": GOOD_X[:, 1:], "y": GOOD_Y}, "has 56 values (uint8), the model takes 64"),
    "one class": ({"x": GOOD_X[:2], "y": GOOD_Y[:2]}, "has 1 class;"),
    "another type than the queries": ({"x": GOOD_X.astype(np.float32), "y": GOOD_Y}, "both must be of one type"),
    "classes that are not asked about": ({"x": GOOD_X[:8], "y": GOOD_Y[:8]}, "does not teach: owl"),
}


@pytest.mark.parametrize("what", BAD_SETS)
def test_bad_data_is_refused_before_a_board_is_looked_for(what, backbone, tmp_path):
    arrays, sentence = BAD_SETS[what]
    np.savez(tmp_path / "s.npz", **arrays)
    x, y = task()[1]
    np.savez(tmp_path / "q.npz", x=x, y=y)
    arguments = ("adapt", backbone, "--board", "pico", "--support", tmp_path / "s.npz", "--query", tmp_path / "q.npz")
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments])
    assert result.exit_code == errors.BAD_DATA
    assert sentence in result.stderr


# An .npy: one array without a name.
NPY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }".ljust(127) + b"\n123"
)  # one array


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 but no more", NPY])
def test_a_file_that_is_no_npz(content, tmp_path):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TinylearnError) as error:
        samples.load(path)
    assert error.value.exit_code == errors.BAD_DATA


@pytest.mark.boards("unix")
def test_the_board_s_own_refusal_comes_through(board_port, backbone):
    support, query = sets()
    with connect(board_port) as board, pytest.raises(TinylearnError, match="the board refuses: ") as error:
        flash.flash(board, backbone)
        streaming.adapt(board, backbone, flash.MODEL, support, query, method="hypnosis")
    assert error.value.exit_code == errors.BOARD_ERROR


def test_a_page_tells_what_was_trained_and_why(backbone, tmp_path):
    """Every layer that was looked at, its channels, and what it took, as model.explain() has it."""
    for name, (x, y) in zip(("few", "many"), task(), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    page = tmp_path / "page.html"
    arguments = [
        "adapt",
        backbone,
        "--board",
        "sim",
        "--support",
        tmp_path / "few.npz",
        "--query",
        tmp_path / "many.npz",
    ]
    arguments += ["--steps", 4, "--budget", 24000, "--json", "--report", page]
    result = CliRunner().invoke(cli.main, [str(a) for a in (*arguments, "--method", "tinytrain")])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["trained"]["steps"] == 4 and said["trained"]["criterion"] == "fisher"
    assert any(row["trained"] for row in said["layers"])
    text = page.read_text()
    for row in said["layers"]:
        assert f"<td>{row['op']}</td>" in text
        assert text.count(f'aria-label="channels of operator {row["op"]}"') == row["trained"]
    assert text.count('width="3"') == sum(
        len(row["channels"] or range(row["of"])) for row in said["layers"] if row["trained"]
    )


HEADS, TAILS = ("prototype", "closed_form", "last_layer"), ("bias", "scheme", "tinytrain", "full", "lightcl")


@pytest.mark.parametrize("method", [*HEADS, *TAILS, "auto"])
def test_every_method_says_what_it_did_and_took(backbone, tmp_path, method):
    """As sentences of model.explain(), on the command's page and in its answer."""
    for name, (x, y) in zip(("few", "many"), task(), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    page, files = tmp_path / "page.html", ["--support", tmp_path / "few.npz", "--query", tmp_path / "many.npz"]
    options = ["--method", "full", "--continual"] if method == "lightcl" else ["--method", method]
    arguments = ["adapt", backbone, "--board", "sim", *files, "--steps", 2, *options, "--report", page]
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "knows 3 classes: 3 rows over 32 features, of 12 samples; " in result.output
    text = page.read_text()
    for sentence in ("12 examples of 3 classes", "It knows 3 classes", "multiply-accumulates, once for each"):
        assert sentence in text
    assert ("holds on to" in text) == (method == "lightcl")

    simulator.on_path()
    from tinylearn.model import load

    model = load(str(backbone), recall=False)
    x, y = task()[0]
    given = {"method": "full", "continual": "lightcl"} if method == "lightcl" else {"method": method}
    said = model.adapt(list(zip((bytes(v) for v in x), map(str, y), strict=True)), steps=2, **given).explain()
    assert said.told.samples == 12 and said.told.ram_bytes > 0 and said.told.seconds > 0
    assert said.told.macs_frozen + said.told.macs_forward > 0
    assert bool(said.layers) == bool(said.changed) == ("as it came" not in repr(said))
    if method in HEADS:
        assert said.method == method and not said.layers and model.plan(method, 3, 4).bytes >= said.told.ram_bytes
    if method in TAILS:
        trained = [row for row in said.layers if row.trained]
        assert {row.op for row in trained} == set(said.changed)
        assert said.told.macs_back and said.told.steps == 2
    model.story = model.why = None  # as after load()
    assert repr(model.explain()) == "\n".join(said.known())
