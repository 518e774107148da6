"""checks.py on CPython and on every emulated board: the very same lines, so board = simulator bit for bit."""

from __future__ import annotations

from pathlib import Path

import checks
import pytest
from tinylearn_host import flash, transport

# A board's RAM does not hold all of it at once.
TOOLS, *PARTS, RUNNING = Path(checks.__file__).read_text().split("# ----")


def facts(text: str) -> list[str]:
    return [line for line in text.replace("\r", "").split("\n") if line and not line.startswith(("#", "tinylearn:"))]


@pytest.fixture(scope="session")
def simulated(small) -> list[str]:
    """What the checks print on CPython."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            checks, "print", lambda *words: lines.append(" ".join(str(word) for word in words)), raising=False
        )
        patch.chdir(small.parent)
        checks.run(small.name)
    return facts("\n".join(lines))


def test_simulator(simulated):
    assert [line for line in simulated if line.startswith("check_")] == sorted(
        n for n in dir(checks) if n.startswith("check_")
    )


def test_board_equals_simulator(board_port, small, simulated):
    with transport.connect(board_port, "mpremote") as board:
        flash.flash(board, small, also=("tl_filter",))
        text = ""
        for part in PARTS:
            board.soft_reset()
            text += board.exec(f"{TOOLS}# ----{part}# ----{RUNNING}\nrun()\n", timeout=300) + "\n"
    print(text)  # the measurements, where pytest shows output
    assert sorted(by_check(facts(text))) == sorted(by_check(simulated))


def by_check(lines: list[str]) -> list[list[str]]:
    """The lines of each check."""
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("check_"):
            found.append([])
        found[-1].append(line)
    return found
