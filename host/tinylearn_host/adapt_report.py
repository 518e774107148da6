"""What a board was taught, what it trained of its network, why, and what that took: `tinylearn adapt --report`."""

from __future__ import annotations

from pathlib import Path

from tinylearn_host import pages, streaming
from tinylearn_host.device import kb

WIDTH, HEIGHT = 700, 200


def save_html(path: Path, outcome: streaming.Outcome, model: str, board: str) -> None:
    """The outcome of an adaptation as one page without links to anywhere."""
    facts = {"trained": outcome.trained, "layers": outcome.layers, "model": model, "board": board}
    facts.update(before=outcome.accuracy_before, after=outcome.accuracy_after, queries=len(outcome.after))
    facts.update(ways=len(outcome.query.classes), took=took(outcome), curve=curve(outcome.steps), why=outcome.why)
    pages.save("adapt.html", path, facts)


def took(outcome: streaming.Outcome) -> list[tuple[str, str]]:
    """Costs, in words and numbers."""
    t = outcome.trained
    cycles = f", {t['seconds'] * t['hz'] / 1e6:,.1f} M cycles" if t["hz"] else ""
    if not outcome.layers:
        return [
            ("time", f"{t['seconds']:.1f} s{cycles}"),
            ("RAM that it took", kb(t["ram_bytes"])),
            ("multiply-accumulates, once for each example", f"{t['macs_frozen']:,}"),
        ]
    share = t["macs_back"] / max(t["macs_all_back"], 1)
    slow = f", of which {t['looking']:.1f} s to choose" if t["criterion"] else ""
    return [
        ("steps", f"{t['steps']} of at most {t['most']}"),
        ("time", f"{t['seconds']:.1f} s{cycles}{slow}"),
        ("RAM that training took", kb(t["ram_bytes"])),
        ("flash that it took meanwhile", kb(t["flash_bytes"])),
        ("frozen operators", f"0 to {t['first'] - 1}" if t["first"] else "none"),
        ("multiply-accumulates, once for each view", f"{t['macs_frozen']:,}"),
        ("forward, twice for each example and step", f"{t['macs_forward']:,}"),
        ("back", f"{t['macs_back']:,}, {share:.1%} of all the way back with everything trained"),
        ("weights and biases trained", f"{sum(row['weights'] + row['biases'] for row in outcome.layers):,}"),
        ("gradients", f"{t['width']} bits"),
    ]


def curve(steps: list[dict]) -> dict | None:
    """Loss and accuracy over the steps in the units of an SVG."""
    if len(steps) < 2:
        return None
    losses, top = [step["loss"] for step in steps], max(step["loss"] for step in steps) or 1

    def points(values: list[float], most: float) -> str:
        x = WIDTH / (len(steps) - 1)
        return " ".join(f"{i * x:.1f},{HEIGHT * (1 - v / most):.1f}" for i, v in enumerate(values))

    lines = {"loss": points(losses, top), "accuracy": points([step["accuracy"] for step in steps], 1)}
    return {**lines, "top": top, "first": losses[0], "last": losses[-1], "steps": len(steps)}
