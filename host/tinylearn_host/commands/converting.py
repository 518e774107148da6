"""What the commands that write a .tlm share: its options, the model made of a graph, and what they say of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from tinylearn_host import boards, fuse, ir, partition, sizes, tlm, variants
from tinylearn_host.commands.options import SIMULATOR
from tinylearn_host.device import kb
from tinylearn_host.errors import BAD_DATA, TinylearnError


def model_options(command: Callable) -> Callable:
    """--board, --labels, --name, --domain, --extra-arena: what `make` takes."""
    wishes = (
        click.option("--board", help="Say whether the model fits this board of `tinylearn boards`."),
        click.option("--labels", help="Names of the classes: a text file with one per line, or a list with commas."),
        click.option("--name", help="What the model is called; by default as its file."),
        click.option(
            "--domain",
            type=click.Choice(partition.DOMAINS),
            help="What its samples are: says how a board may vary them while it trains.",
        ),
        click.option(
            "--extra-arena",
            default=25,
            show_default=True,
            type=click.IntRange(0, 1000),
            help="By how many percent the arena may grow for faster layers (a small one by 4 KB). The answers are the "
            "same.",
        ),
    )
    return functools.reduce(lambda f, option: option(f), reversed(wishes), command)


@dataclass
class Made:
    """A graph as the board's file. bound: the least arena there could be; fit: on the board that was asked about"""

    graph: ir.Graph
    model: tlm.Model
    bound: int
    fit: sizes.Fit | None

    def as_json(self, output: Path) -> dict:
        report = {"model": str(output), **sizes.summary(self.model), "arena_lower_bound": self.bound}
        report["schemes"] = {scheme.name: scheme.ram_bytes for scheme in self.model.schemes}
        return {**report, "fit": self.fit.as_json() if self.fit else None}

    def lines(self, source: Path, output: Path) -> list[str]:
        model, macs = self.model, sizes.macs(self.model) / 1e6
        head = f"{kb(len(model.raw))}, {len(model.ops)} operators, {_head(self.graph)}"
        lines = [
            f"{source} -> {output}: {head}",
            f"arena {kb(model.arena)} (the least possible: {kb(self.bound)}), {macs:.2f} million MACs",
            _training(model),
        ]
        return [*lines, self.fit.sentence()] if self.fit else lines


def make(
    graph: ir.Graph, board: str | None, labels: str | None, name: str | None, domain: str | None, extra_arena: int
) -> Made:
    """Finish `graph` with what the options say, and lay it out. Nothing is written yet."""
    graph = fuse.columns_into_rows(graph)
    graph.name = name or graph.name
    if labels is not None:
        graph.labels = read_labels(labels)
    if domain:
        graph.meta["domain"] = domain
    target = boards.find(board) if board and board != SIMULATOR else None
    model = partition.prepare(tlm.read(tlm.build(graph, extra_arena / 100)))
    bound = variants.choose(graph, extra_arena / 100)[1].lower_bound
    return Made(graph, model, bound, sizes.fit(target, model) if target else None)


def _head(graph: ir.Graph) -> str:
    features, head = graph.classifier()
    if head == len(graph.ops):
        return f"no classifier of its own, {graph.tensors[features].bytes} features"
    classes = graph.tensors[graph.output].bytes
    return f"classifier of {classes} classes on {graph.tensors[features].bytes} features"


def _training(model: tlm.Model) -> str:
    if not model.backward:
        return "no part of it can be trained; new heads can be taught"
    weights = sum(cost.weights + cost.biases for cost in model.costs)
    schemes = ", ".join(f"{scheme.name} ({kb(scheme.ram_bytes)})" for scheme in model.schemes)
    return f"{weights:,} weights and biases can be trained; schemes: {schemes or 'none within 128 KB'}"


def read_labels(labels: str) -> list[str]:
    """Labels from a file with one per line, or from a list with commas. Raises exit code 13 where two are the same."""
    path = Path(labels)
    try:
        text = path.read_text("utf-8") if path.is_file() else labels.replace(",", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TinylearnError(f"cannot read labels from {path}: {error}", BAD_DATA) from None
    names = [line.strip() for line in text.splitlines() if line.strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TinylearnError(f"labels occur twice: {', '.join(twice)}", BAD_DATA)
    return names
