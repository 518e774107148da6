"""The set-up's promises: builds appear whole or not at all, downloads are verified, missing packages are named."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "setup"))
import apt  # noqa: E402
import common  # noqa: E402
import environment  # noqa: E402
import sources  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for module in (common, sources):
        monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_build_happens_once(cache):
    builds = []

    def build(scratch):
        builds.append(scratch)
        (scratch / "made").write_text("whole")

    first = common.build_once("thing", "key", build)
    assert common.build_once("thing", "key", build) == first == cache / "thing-key"
    assert len(builds) == 1
    assert common.build_once("thing", "other", build) != first


def test_failed_build_leaves_nothing(cache):
    def build(scratch):
        (scratch / "half").write_text("")
        common.run(["sh", "-c", "echo no such luck; exit 3"])

    with pytest.raises(common.SetupError, match=r"(?s)exit code 3.*no such luck"):
        common.build_once("thing", "key", build)
    assert list(cache.iterdir()) == []


def test_key_follows_the_contents_of_files(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.c").write_text("int a;")
    before = common.fingerprint("1.26.1", source)
    assert common.fingerprint("1.26.1", source) == before != common.fingerprint("1.25.0", source)
    (source / "a.c").write_text("int b;")
    assert common.fingerprint("1.26.1", source) != before


def test_download_with_another_hash_is_refused(tmp_path, cache):
    served = tmp_path / "micropython.tar.xz"
    served.write_bytes(b"not what was released")
    with pytest.raises(common.SetupError, match="refusing"):
        sources.download(served.as_uri(), "0" * 64)
    assert list((cache / "downloads").iterdir()) == []
    right = hashlib.sha256(served.read_bytes()).hexdigest()
    assert sources.download(served.as_uri(), right).read_bytes() == served.read_bytes()


def test_closed_network_is_noticed_at_once():
    started = time.monotonic()
    with pytest.raises(OSError):
        sources.download("http://192.0.2.1/micropython.tar.xz", "0" * 64)  # an address that nobody has (RFC 5737)
    assert time.monotonic() - started < 2 * sources.CONNECT_SECONDS


def test_torch_without_cuda_is_preferred_where_it_can_be_reached(monkeypatch, tmp_path):
    dev, other = common.ROOT / "requirements-dev.txt", common.ROOT / "requirements.txt"
    (tmp_path / "torch").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(environment, "TORCH_WITHOUT_CUDA", there)
        assert environment._index_of(["-r", dev]) == ["--extra-index-url", there]
        assert environment._index_of(["-r", other]) == environment._index_of(["--no-deps", common.ROOT]) == []
        monkeypatch.setattr(environment, "TORCH_WITHOUT_CUDA", f"{there}/nothing")
        assert environment._index_of(["-r", dev]) == []
        server.shutdown()
    assert environment._index_of(["-r", dev]) == []


def test_missing_packages_are_named_where_they_cannot_be_installed(monkeypatch):
    monkeypatch.setattr(apt, "_become_root", lambda: None)
    monkeypatch.setitem(apt.TOOLS, "a", (lambda: False, ["package-a"]))
    monkeypatch.setitem(apt.TOOLS, "b", (lambda: True, ["package-b"]))
    monkeypatch.setitem(apt.TOOLS, "c", (lambda: False, ["package-c"]))
    with pytest.raises(common.SetupError) as refused:
        apt.need("a", "b", "c")
    assert "apt-get install package-a package-c" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_set_ups_take_turns(cache):
    order = []

    def other():
        with common.only_one():
            order.append("other")

    with common.only_one():
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_unknown_target_lists_those_there_are():
    done = subprocess.run([sys.executable, ROOT / "setup" / "prepare.py", "picp"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pico-emulated" in done.stderr
