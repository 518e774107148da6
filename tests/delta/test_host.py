"""`tinylearn pull`, `push` and `inspect` of what a board has learned."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from tinylearn_host import cli, errors, flash, keeping, tld
from tinylearn_host.errors import TinylearnError
from tinylearn_host.transport import connect

TEACH = """
import tinylearn
m = tinylearn.load()
m.adapt([(bytes([90 * n + s] * 64), {}) for n in range(2) for s in range(2)], "prototype")
m.save()
"""
KNOWS = ("tinylearn.load().labels", "import tinylearn")


def tinylearn(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.fixture
def taught(board_port, models, tmp_path):
    """A board that has learned "a" and "b", and nothing else."""
    path = tmp_path / "model.tlm"
    path.write_bytes(models[0])
    with connect(board_port) as board:
        flash.flash(board, path)
        for slot in keeping.SLOTS:
            board.remove(slot)
        board.exec(TEACH.format("'ab'[n]"), timeout=60)
    yield board_port
    with connect(board_port) as board:  # which other tests use, too
        for slot in keeping.SLOTS:
            board.remove(slot)


def test_pull_inspect_and_push(board_name, taught, tmp_path):
    where, file = ("--board", board_name, "--port", taught), tmp_path / "pulled.tld"
    report = json.loads(tinylearn("pull", *where, "-o", file, "--json").stdout)
    assert [known["label"] for known in report["classes"]] == ["a", "b"]
    assert report["save"] == 1
    assert json.loads(tinylearn("inspect", file, "--json").stdout).items() <= report.items()
    shown = tinylearn("inspect", file).stdout
    assert "2 classes over 32 features, by cosine" in shown
    assert "a                     2 examples" in shown
    with connect(taught) as board:
        board.exec(TEACH.format("n + 5"), timeout=60)  # another lesson: save number 2
        board.exec(TEACH.format("n + 7"), timeout=60)
        assert board.eval(*KNOWS) == ["a", "b", 5, 6, 7, 8]
    result = tinylearn("push", file, *where, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["slot"] == "model.tld.1"  # where the older save was
    with connect(taught) as board:
        assert board.eval(*KNOWS) == ["a", "b"]
        assert keeping.pull(board).sequence == 4
        assert not [name for name in board.listdir() if name.endswith(".part")]
        board.exec("import tinylearn\ntinylearn.rollback()")
        assert board.eval(*KNOWS) == ["a", "b", 5, 6, 7, 8]
    assert tinylearn("push", file, *where).exit_code == 0
    with connect(taught) as board:
        assert board.eval(*KNOWS) == ["a", "b"]


@pytest.mark.boards("unix")
def test_what_does_not_belong_is_refused(board_name, taught, models, tmp_path):
    where = ("--board", board_name, "--port", taught)
    with connect(taught) as board:
        good = keeping.pull(board)
        before = {slot: board.size(slot) for slot in keeping.SLOTS}
    other, hostile, damaged = (tmp_path / f"{name}.tld" for name in ("other", "hostile", "damaged"))
    other.write_bytes(tld.seal(good.raw[:16] + models[1][16:48] + good.raw[48:]))
    damaged.write_bytes(good.raw[:100] + b"?" + good.raw[101:])
    raw = bytearray(good.raw)
    raw[52 + 12 + 12] ^= 1  # the zero point of the features: only who has the model knows
    hostile.write_bytes(tld.seal(bytes(raw)))
    for file, sentence in (
        (other, "belongs to another model"),
        (damaged, "its checksum is"),
        (hostile, "does not fit"),
    ):
        result = tinylearn("push", file, *where)
        assert result.exit_code == errors.BAD_MODEL
        assert sentence in result.stderr
    with connect(taught) as board:
        assert {slot: board.size(slot) for slot in keeping.SLOTS} == before
        assert board.eval(*KNOWS) == ["a", "b"]
        assert not [name for name in board.listdir() if name.endswith(".part")]


@pytest.mark.boards("unix")
def test_nothing_to_pull(board_name, taught, tmp_path):
    with connect(taught) as board:
        for slot in keeping.SLOTS:
            board.remove(slot)
    result = tinylearn("pull", "--board", board_name, "--port", taught, "-o", tmp_path / "none.tld")
    assert result.exit_code == errors.BAD_DATA
    assert "nothing was saved" in result.stderr
    assert not list(tmp_path.glob("*.tld*"))


@pytest.mark.boards("unix")
def test_a_board_without_a_model(board_port, taught):
    with connect(board_port) as board:
        board.remove(flash.MODEL)
        with pytest.raises(TinylearnError, match="no model on the board"):
            keeping.pull(board)


def test_the_simulator_keeps_nothing(tmp_path):
    result = tinylearn("pull", "--board", "sim", "-o", tmp_path / "x.tld")
    assert result.exit_code == errors.USAGE


@pytest.mark.boards("unix")
def test_adapt_and_save(board_name, taught, models, tmp_path):
    """`tinylearn adapt` starts from the model as it came, and leaves the board's saves alone unless told."""
    model, files = tmp_path / "model.tlm", []
    for name in ("support", "query"):
        np.savez(tmp_path / name, x=np.repeat(np.uint8([[[10]], [[200]]]), 64, 1).reshape(2, 8, 8), y=["dark", "light"])
        files += [f"--{name}", tmp_path / f"{name}.npz"]
    assert tinylearn("adapt", model, "--board", board_name, "--port", taught, *files).exit_code == 0
    with connect(taught) as board:
        assert board.eval(*KNOWS) == ["a", "b"]
    assert tinylearn("adapt", model, "--board", board_name, "--port", taught, *files, "--save").exit_code == 0
    with connect(taught) as board:
        assert board.eval(*KNOWS) == ["dark", "light"]
        board.exec("import tinylearn\ntinylearn.rollback()")
        assert board.eval(*KNOWS) == ["a", "b"]
    assert tinylearn("adapt", model, "--board", "sim", *files, "--save").exit_code == errors.USAGE
