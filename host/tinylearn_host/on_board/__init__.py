"""Programs that the host sends to a board's REPL. They run on the board; the host only reads their text.

They speak lines: what a program prints is for the host, "?" asks the host for the next line of its standard input.
Events are JSON objects, one a line (lines.py). So at most one short line is under way, which no board's receive buffer
loses, and Ctrl-C still means Ctrl-C.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def source(*names: str, call: str = "") -> str:
    """The text of the programs `names`, with the call that starts them as its last line. Comments stay at home."""
    texts = [(HERE / f"{name}.py").read_text().split('"""\n', 1)[1] for name in names]
    lines = [line for text in texts for line in text.splitlines()]
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#")) + f"\n{call}\n"
