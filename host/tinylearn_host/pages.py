"""Reports as HTML: templates filled in, each one file without links to anywhere."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinylearn_host import files
from tinylearn_host.device import kb


def save(template: str, path: Path, facts: dict) -> None:
    """Fill in a template of templates/."""
    environment = Environment(
        loader=PackageLoader("tinylearn_host"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kb"] = kb
    page = environment.get_template(template).render(facts)
    files.write(path, page)
