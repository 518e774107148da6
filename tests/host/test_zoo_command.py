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


class Files(http.server.SimpleHTTPRequestHandler):
    """The files of a folder; what lies in `short/` breaks off half way."""

    def log_message(self, *words):
        pass

    def copyfile(self, source, target):
        raw = source.read()
        target.write(raw[: len(raw) // 2] if self.path.startswith("/short/") else raw)


@pytest.fixture
def served(tmp_path):
    """(folder, its URL)"""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_fetch_over_http(shelf, served, tmp_path):
    folder, url = served
    shutil.copytree(shelf, folder, dirs_exist_ok=True)
    result = run("emg", "--from", url, "-o", tmp_path / "mine.tlm")
    missing = run("emg", "--from", url + "old", "-o", tmp_path / "other.tlm")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.tlm").read_bytes() == (shelf / "emg" / "emg.tlm").read_bytes()
    assert missing.exit_code == errors.BAD_MODEL and "old/zoo.json" in missing.stderr
    assert not (tmp_path / "other.tlm").exists()


def test_fetch_from_a_release(served, tmp_path, monkeypatch):
    """As GitHub has them: all files of a version side by side."""
    folder, url = served
    zoo.write_release(paths.MODELS, folder / "download" / "v0.9.1")
    monkeypatch.setenv(zoo.RELEASES, url)
    assert run("speech", "--release", "0.9.1", "-o", tmp_path / "speech.tlm").exit_code == 0
    assert (tmp_path / "speech.tlm").read_bytes() == (paths.MODELS / "speech" / "speech.tlm").read_bytes()
    assert (folder / "download" / "v0.9.1" / "speech.md").exists()
    names = [entry["name"] for entry in json.loads(run("--release", "0.9.1", "--json").stdout)]
    assert names == ["emg", "glyph", "speech"]
    other = run("speech", "--release", "0.9.2", "-o", tmp_path / "other.tlm")
    assert other.exit_code == errors.BAD_MODEL and "v0.9.2/zoo.json: the server says 404" in other.stderr
    assert "v0.1.0" in run("--release", "this").stderr
    assert not (tmp_path / "other.tlm").exists()


def test_a_download_that_breaks_off_leaves_nothing(shelf, served, tmp_path):
    folder, url = served
    shutil.copytree(shelf, folder / "short")
    assert run("emg", "--from", url + "short", "-o", tmp_path / "emg.tlm").exit_code == errors.BAD_MODEL
    shutil.copy(shelf / "zoo.json", folder / "zoo.json")
    index = json.loads((shelf / "zoo.json").read_text())
    index["emg"]["file"] = "short/emg/emg.tlm"
    (folder / "zoo.json").write_text(json.dumps(index))
    result = run("emg", "--from", url, "-o", tmp_path / "emg.tlm")
    assert result.exit_code == errors.BAD_MODEL and "broke off" in result.stderr
    assert not list(tmp_path.glob("*.tlm")) and not list(tmp_path.glob(".*.tmp"))


def test_offline(tmp_path, monkeypatch):
    url = "http://127.0.0.1:9/models"  # nobody listens on "discard"
    result = run("emg", "--from", url, "-o", tmp_path / "emg.tlm")
    assert result.exit_code == errors.BAD_MODEL and "offline" in result.stderr and "127.0.0.1:9" in result.stderr
    assert "http and https" in run("--from", "file:///etc").stderr
    monkeypatch.delenv(zoo.RELEASES, raising=False)
    assert zoo.RELEASES in run("--release", "this").stderr


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
