"""Reports as HTML: templates filled in, each one file without links to anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinylearn_host.device import kb
from tinylearn_host.errors import BAD_DATA, TinylearnError


def save(template: str, path: Path, facts: dict) -> None:
    """Fill in a template of templates/. Written to a temporary name first."""
    environment = Environment(
        loader=PackageLoader("tinylearn_host"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kb"] = kb
    page = environment.get_template(template).render(facts)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(page, "utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TinylearnError(f"cannot write {path}: {error.strerror}", BAD_DATA) from None
