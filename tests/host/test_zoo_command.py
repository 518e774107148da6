"""`tinylearn zoo`: the index is true, and what is fetched is what it says, from a folder or over HTTP."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading

import pytest
from click.testing import CliRunner
from tinylearn_host import errors, paths, tlm, zoo
from tinylearn_host.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["zoo", *map(str, arguments)])


@pytest.fixture
def shelf(tmp_path):
    """A folder of models with an index, to spoil."""
    for name in ("emg", "glyph"):
        (tmp_path / "models" / name).mkdir(parents=True)
        for file in (f"{name}.tlm", "card.md"):
            shutil.copy(paths.MODELS / name / file, tmp_path / "models" / name)
    zoo.write_index(tmp_path / "models", zoo.cards(tmp_path / "models"))
    return tmp_path / "models"


def test_the_index_is_that_of_the_models(tmp_path):
    """`python -m tinylearn_host.zoo` makes it anew."""
    entries = {entry.name: entry for entry in zoo.index()}
    assert set(entries) == {path.parent.name for path in paths.MODELS.glob("*/*.tlm")}
    for name, entry in entries.items():
        model = zoo.fetch(name, None, tmp_path / "model.tlm")
        assert (entry.bytes, entry.domain) == (len(model.raw), model.meta["domain"])
        assert {"summary": entry.summary, "licence": entry.licence} == zoo.cards(paths.MODELS)[name]


def test_list(shelf):
    result = run("--from", shelf)
    assert result.exit_code == 0
    assert "emg" in result.stdout and "a backbone for small pictures" in result.stdout
    assert [entry["name"] for entry in json.loads(run("--from", shelf, "--json").stdout)] == ["emg", "glyph"]


def test_fetch_over_http(shelf, tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=shelf)
    handler.log_message = lambda *words: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        result = run("emg", "--from", url, "-o", tmp_path / "mine.tlm")
        missing = run("emg", "--from", url + "old", "-o", tmp_path / "other.tlm")
        server.shutdown()
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.tlm").read_bytes() == (shelf / "emg" / "emg.tlm").read_bytes()
    assert missing.exit_code == errors.BAD_MODEL and "old/zoo.json" in missing.stderr
    assert not (tmp_path / "other.tlm").exists()


def test_what_is_not_as_listed_is_not_written(shelf, tmp_path):
    output = tmp_path / "emg.tlm"
    shutil.copy(shelf / "glyph" / "glyph.tlm", shelf / "emg" / "emg.tlm")
    result = run("emg", "--from", shelf, "-o", output)
    assert result.exit_code == errors.VERIFY_FAILED and "SHA-256" in result.stderr
    assert not output.exists()


@pytest.mark.parametrize("index", ["", "[]", '{"emg": {}}', '{"emg": 3}'])
def test_a_damaged_index(shelf, index):
    (shelf / zoo.INDEX).write_text(index)
    result = run("--from", shelf)
    assert result.exit_code == errors.BAD_DATA and "no index of models" in result.stderr


def test_wrong_names(shelf, tmp_path):
    assert "there are emg, glyph" in run("cats", "--from", shelf).stderr
    assert run("emg", "--from", shelf, "-o", tmp_path / "emg.bin").exit_code == errors.USAGE
    assert run("--from", shelf, "-o", tmp_path / "emg.tlm").exit_code == errors.USAGE


def test_it_is_a_whole_model(tmp_path):
    assert run("speech", "-o", tmp_path / "speech.tlm").exit_code == 0
    assert tlm.read(tmp_path / "speech.tlm").front
