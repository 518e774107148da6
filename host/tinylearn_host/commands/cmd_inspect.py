"""`tinylearn inspect`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinylearn_host import boards, ir, sizes, tld, tlm, variants
from tinylearn_host.commands.options import json_option, print_json
from tinylearn_host.device import kb


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
def command(model: Path, as_json: bool) -> None:
    """Show what is in MODEL, a .tlm: layers, shapes, scales, MACs, bytes, and what it needs on each board.

    Or in a .tld, what a board has learned: its classes, and for which model. The file is verified wholly; one that a
    board would refuse is refused here, with the reason.
    """
    if model.suffix == ".tld" or ".tld." in model.name:
        show_delta(model, as_json)
        return
    parsed = tlm.read(model)
    layers = [layer(parsed, index) for index in range(len(parsed.ops))]
    fits = [sizes.fit(board, parsed) for board in boards.load_all().values()]
    if as_json:
        print_json(
            {
                **sizes.summary(parsed),
                "layers": layers,
                "training": training(parsed),
                "boards": [fit.as_json() for fit in fits],
            }
        )
        return
    console = Console(highlight=False)
    console.print(f"[bold]{parsed.name or model.name}[/bold]  {model}, {kb(len(parsed.raw))}, arena {kb(parsed.arena)}")
    console.print(f"sha256 {parsed.sha256.hex()}")
    if parsed.front:
        console.print(f"front end: {parsed.front}")
    console.print(layer_table(parsed, layers))
    if parsed.head < len(parsed.ops):
        console.print(f"* the model's own classifier, on {parsed.tensors[parsed.features].bytes} features")
    if any(row["variant"] != variants.PLAIN for row in layers):
        console.print("fast: bytes of the arena that its faster kernel works in, on processors that have one")
    if parsed.backward:
        schemes = ", ".join(f"{scheme.name} ({kb(scheme.ram_bytes)} of arena)" for scheme in parsed.schemes)
        first = min(record.op for record in parsed.backward)
        console.print(f"can be trained from operator {first} on; schemes: {schemes or 'none'}")
    if parsed.labels:
        console.print(f"labels: {', '.join(parsed.labels)}", markup=False)
    console.print()
    console.print(board_table(fits))


def training(model: tlm.Model) -> dict | None:
    """What of a model can be trained, and the schemes that it has for that."""
    if not model.backward:
        return None
    return {
        "weights": {cost.op: cost.weights for cost in model.costs if cost.weights},
        "biases": {cost.op: cost.biases for cost in model.costs if cost.biases},
        "schemes": [asdict(scheme) for scheme in model.schemes],
    }


def show_delta(path: Path, as_json: bool) -> None:
    facts = tld.summary(tld.read(path))
    if as_json:
        print_json(facts)
        return
    console = Console(highlight=False)
    console.print(f"[bold]what was learned[/bold]  {path}, {kb(facts['bytes'])}, save number {facts['save']}")
    console.print(f"for the model with sha256 {facts['model_sha256']}")
    if facts["classes"] is None:
        console.print("no new classes: the model answers with its own")
    else:
        console.print(f"{len(facts['classes'])} classes over {facts['features']} features, by {facts['metric']}")
        for known in facts["classes"]:
            examples = "of the model's own" if known["examples"] < 0 else f"{known['examples']} examples"
            console.print(f"  {known['label']!s:20}  {examples}", markup=False)
    if facts["changed_tensors"]:
        tensors = ", ".join(map(str, facts["changed_tensors"]))
        console.print(f"{facts['changed_bytes']:,} bytes of weights and biases changed, in tensors {tensors}")
    if facts["held_channels"]:
        held = ", ".join(f"{count} of tensor {tensor}" for tensor, count in facts["held_channels"].items())
        console.print(f"channels that continual learning holds: {held}")
    if facts["kept_samples"]:
        console.print(f"samples of earlier tasks that it keeps: {facts['kept_samples']}")


def layer(model: tlm.Model, index: int) -> dict:
    """One operator as a report shows it. Bytes are those of its weights, bias, scales and requantisation."""
    op = model.ops[index]
    x, y = model.tensors[op.x], model.tensors[op.y]
    return {
        "index": index,
        "operator": op.name,
        "kernel": list(op.kernel) if op.name in ir.WINDOWED else None,
        "stride": list(op.stride) if op.name in ir.WINDOWED else None,
        "dilation": list(op.dilation) if op.name in ir.WINDOWED else None,
        "padding": list(op.padding) if op.name in ir.WINDOWED else None,
        "clamp": list(op.clamp),
        "input_shape": list(x.shape[1:]),
        "output_shape": list(y.shape[1:]),
        "output_scale": y.scale,
        "output_zero_point": y.zero_point,
        "output_place": y.place,
        "parameter_bytes": parameter_bytes(model, op),
        "variant": op.variant,
        "scratch_bytes": 0 if op.s == tlm.NOBODY else model.tensors[op.s].bytes,
        "macs": op.macs,
        "classifier": index >= model.head,
    }


def parameter_bytes(model: tlm.Model, op: tlm.OperatorRecord) -> int:
    if op.w == tlm.NOBODY:
        return 0
    w, channels = model.tensors[op.w], model.channels(op)
    bias = model.tensors[op.b].bytes if op.b != tlm.NOBODY else 0
    return w.bytes + bias + (4 * channels if w.scales else 0) + tlm.requant_size(op.name) * channels


def layer_table(model: tlm.Model, layers: list[dict]) -> Table:
    table = _table(["operator", "window", "output"], ["scale", "zero", "bytes", "MACs", "fast"])
    first = model.tensors[model.input]
    table.add_row("", "input", "", _shape(first.shape[1:]), f"{first.scale:.4g}", str(first.zero_point), "", "", "")
    for row in layers:
        table.add_row(
            str(row["index"]),
            row["operator"] + (" *" if row["classifier"] else ""),
            _window(row),
            _shape(row["output_shape"]),
            f"{row['output_scale']:.4g}",
            str(row["output_zero_point"]),
            f"{row['parameter_bytes']:,}" if row["parameter_bytes"] else "",
            f"{row['macs']:,}" if row["macs"] else "",
            "" if row["variant"] == variants.PLAIN else f"+{row['scratch_bytes']:,}",
        )
    parameters, macs = (sum(row[key] for row in layers) for key in ("parameter_bytes", "macs"))
    table.add_row("", "", "", "", "", "", f"{parameters:,}", f"{macs:,}", "", style="bold")
    return table


def board_table(fits: list[sizes.Fit]) -> Table:
    table = _table(["board"], ["tinylearn", "heap needed", "heap left", "flash left", "time"], index=False)
    for fit in fits:
        table.add_row(
            fit.board.name,
            ("" if fit.built else "~") + kb(fit.native + fit.package),
            kb(fit.heap_needed),
            _left(fit.heap_free),
            _left(fit.flash_free),
            "" if fit.seconds is None else f"{fit.seconds * 1000:.0f} ms",
        )
    return table


def _table(texts: list[str], numbers: list[str], index: bool = True) -> Table:
    """Plain columns, narrow enough for a terminal of 80 characters and for a log file."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    if index:
        table.add_column("#", justify="right", no_wrap=True)
    for heading in texts:
        table.add_column(heading, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _left(size: int) -> str:
    return kb(size) if size >= 0 else f"[red]{kb(size)}[/red]"


def _shape(shape) -> str:
    h, w, c = shape
    return str(c) if h == w == 1 else f"{h}x{w}x{c}"


def _window(row: dict) -> str:
    if row["kernel"] is None:
        return ""
    (h, w), (stride_h, stride_w), dilation = row["kernel"], row["stride"], row["dilation"]
    text = f"{h}x{w}"
    if (stride_h, stride_w) != (1, 1):
        text += f" /{stride_h}" if stride_h == stride_w else f" /{stride_h},{stride_w}"
    return text if dilation == [1, 1] else f"{text} dilated {dilation[0]},{dilation[1]}"
