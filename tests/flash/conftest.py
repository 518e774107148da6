"""A unix board of a test's own, which it may break."""

import subprocess

import pytest
from tinylearn_host import boards


class OwnBoard:
    """A running emulated board: `port`, and what can happen to it. Its flash outlives it."""

    def __init__(self, name: str, *arguments: str):
        self._command = [*boards.find(name).command, *arguments]
        self.start()

    def start(self) -> None:
        self._emulator = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self._emulator.stdout.readline().strip()

    def pull(self) -> None:
        """Power and cable go, at once."""
        self._emulator.kill()
        self._emulator.wait()
        self._emulator.stdin.close()
        self._emulator.stdout.close()


@pytest.fixture
def own_board(tmp_path, monkeypatch):
    """own_board(name, *arguments for its emulator) starts one with an empty flash."""
    monkeypatch.setenv("TINYLEARN_STATE", str(tmp_path / "boards"))
    running = []

    def start(name: str, *arguments: str) -> OwnBoard:
        running.append(OwnBoard(name, *arguments))
        return running[-1]

    yield start
    for board in running:
        board.pull()
