"""`tinylearn convert`."""

from __future__ import annotations

from pathlib import Path

import click

from tinylearn_host import boards, fuse, importers, ir, partition, sizes, tlm, variants
from tinylearn_host.commands.options import SIMULATOR, json_option, print_json
from tinylearn_host.device import kb
from tinylearn_host.errors import BAD_DATA, USAGE, TinylearnError


@click.command("convert")
@click.argument("source", metavar="MODEL", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tlm to write.")
@click.option("--board", help="Say whether the model fits this board of `tinylearn boards`.")
@click.option("--labels", help="Names of the classes: a text file with one per line, or a list with commas.")
@click.option("--name", help="What the model is called; by default as its file.")
@click.option(
    "--domain",
    type=click.Choice(partition.DOMAINS),
    help="What its samples are: says how a board may vary them while it trains.",
)
@click.option(
    "--extra-arena",
    default=25,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="By how many percent the arena may grow for faster layers (a small one by 4 KB). The answers are the same.",
)
@json_option
def command(
    source: Path,
    output: Path,
    board: str | None,
    labels: str | None,
    name: str | None,
    domain: str | None,
    extra_arena: int,
    as_json: bool,
) -> None:
    """Convert MODEL, an int8 .tflite or a quantised (QDQ) .onnx, into a .tlm that a board can use.

    The weights and the arithmetic stay as they are: the board answers with the very bits of TensorFlow Lite's
    reference kernels. What cannot be converted is refused by operator name and index, and then nothing is written.
    The file also says how the network can be trained, for which `tinylearn partition` shows the memory.
    """
    if output.suffix != ".tlm":
        raise TinylearnError(f"the output is called {output.name}; its name must end in .tlm", USAGE)
    graph = fuse.pads_into_convolutions(importers.load(source))
    graph.name = name or graph.name
    if labels is not None:
        graph.labels = read_labels(labels)
    if domain:
        graph.meta["domain"] = domain
    target = boards.find(board) if board and board != SIMULATOR else None
    model = partition.prepare(tlm.read(tlm.build(graph, extra_arena / 100)))
    fit = sizes.fit(target, model) if target else None
    tlm.save(model, output)
    bound = variants.choose(graph, extra_arena / 100)[1].lower_bound
    if as_json:
        report = {"model": str(output), **sizes.summary(model), "arena_lower_bound": bound}
        report["schemes"] = {scheme.name: scheme.ram_bytes for scheme in model.schemes}
        print_json({**report, "fit": fit.as_json() if fit else None})
        return
    print(f"{source} -> {output}: {kb(len(model.raw))}, {len(model.ops)} operators, {_head(graph)}")
    print(f"arena {kb(model.arena)} (the least possible: {kb(bound)}), {sizes.macs(model) / 1e6:.2f} million MACs")
    print(_training(model))
    if fit:
        print(fit.sentence())


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
