"""`tinylearn zoo`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinylearn_host import zoo
from tinylearn_host.commands.options import json_option, print_json
from tinylearn_host.device import kb
from tinylearn_host.errors import USAGE, TinylearnError


@click.command("zoo")
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write NAME; by default NAME.tlm, here.")
@click.option("--from", "source", metavar="URL", help="A folder of models with a zoo.json, here or on a server.")
@click.option("--release", metavar="VERSION", help="From a release: 0.1.0, or `this`, that of the tinylearn you run.")
@json_option
def command(name: str | None, output: Path | None, source: str | None, release: str | None, as_json: bool) -> None:
    """List the zoo's models, or fetch NAME: trained backbones to start from.

    They come with this clone or package; --release takes them from a release, --from from another URL or folder. What
    is fetched is written only once all of it is here and has the SHA-256 of that list.
    """
    if release:
        if source:
            raise TinylearnError("--from or --release, not both", USAGE)
        source = zoo.release(None if release == "this" else release)
    if name is None:
        if output:
            raise TinylearnError("which model? `tinylearn zoo` lists them", USAGE)
        _list(zoo.index(source), as_json)
        return
    path = output or Path(f"{name}.tlm")
    if path.suffix != ".tlm":
        raise TinylearnError(f"the output is called {path.name}; its name must end in .tlm", USAGE)
    model = zoo.fetch(name, source, path)
    if as_json:
        print_json({"model": str(path), "name": name, "bytes": len(model.raw), "model_sha256": model.sha256.hex()})
    else:
        print(f"{path}: {kb(len(model.raw))}. Next: tinylearn flash {path} --board BOARD")


def _list(entries: list[zoo.Entry], as_json: bool) -> None:
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in ("model", "what", "samples", "size", "licence"):
        table.add_column(heading, no_wrap=heading != "licence")
    for entry in entries:
        table.add_row(entry.name, entry.summary, entry.domain, kb(entry.bytes), entry.licence)
    Console(highlight=False).print(table)
