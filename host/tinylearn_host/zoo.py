"""The zoo: trained backbones, listed in an index (models/zoo.json) beside them: in this clone or package, or at a URL.

{"glyph": {"file": "glyph/glyph.tlm", "sha256": ..., "bytes": ..., "summary": ..., "domain": ..., "licence": ...}, ...}

A release has the same files side by side, as GitHub wants its assets:
    python -m tinylearn_host.zoo              the index of models/ anew
    python -m tinylearn_host.zoo dist/zoo     what to attach to a release: index, models, float networks, cards
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.metadata
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tinylearn_host import paths, tlm
from tinylearn_host.errors import BAD_DATA, BAD_MODEL, USAGE, VERIFY_FAILED, TinylearnError

INDEX = "zoo.json"
SECONDS = 30  # to wait for an answer
MOST = 1 << 20  # bytes of an index or a model
RELEASES = "TINYLEARN_RELEASES"  # environment variable: where releases are, in place of what the package says


@dataclass(frozen=True)
class Entry:
    """One model. file: where it is, from the index on"""

    name: str
    file: str
    sha256: str
    bytes: int
    summary: str
    domain: str
    licence: str


def index(source: str | None = None) -> list[Entry]:
    """What there is at a URL or in a folder, sorted by name; None: in this clone or package."""
    raw = _fetch(source, INDEX)
    try:
        found = json.loads(raw)
        return [Entry(name, **facts) for name, facts in sorted(found.items())]
    except (ValueError, TypeError, AttributeError) as error:
        raise TinylearnError(f"{_where(source, INDEX)} is no index of models: {error}", BAD_DATA) from None


def fetch(name: str, source: str | None, path: Path) -> tlm.Model:
    """Write the model `name` to path, once it is what the index says. Raises exit code 2, 10 or 11."""
    known = {entry.name: entry for entry in index(source)}
    if name not in known:
        raise TinylearnError(f"there is no {name} in the zoo; there are {', '.join(known)}", USAGE)
    raw = _fetch(source, known[name].file)
    if hashlib.sha256(raw).hexdigest() != known[name].sha256:
        raise TinylearnError(
            f"{_where(source, known[name].file)} is not what the index says (its SHA-256 differs); nothing was written",
            VERIFY_FAILED,
        )
    model = tlm.read(raw)
    tlm.save(model, path)
    return model


def release(version: str | None = None) -> str:
    """URL of a release's files; None: of this very version. Raises exit code 2 where nobody said where they are."""
    own = importlib.metadata.metadata("tinylearn")
    said = (line.partition(",") for line in own.get_all("Project-URL") or [])
    known = {label.strip().lower(): url.strip() for label, _, url in said}
    base = os.environ.get(RELEASES) or known.get("releases")
    if not base:
        raise TinylearnError(
            f"this package does not say where its releases are: set {RELEASES} to their URL "
            "(https://github.com/OWNER/REPOSITORY/releases), or name a folder of models with --from",
            USAGE,
        )
    return f"{base.rstrip('/')}/download/v{version or own['Version']}"


def _where(source: str | None, name: str) -> str:
    return f"{source.rstrip('/') if source else paths.MODELS}/{name}"


def _fetch(source: str | None, name: str) -> bytes:
    where = _where(source, name)
    try:
        if source and "://" in source:
            return _download(where)
        return Path(where).read_bytes()
    except urllib.error.HTTPError as error:
        raise TinylearnError(f"cannot read {where}: the server says {error.code} {error.reason}", BAD_MODEL) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
        hint = "; is this computer offline? The models that came with tinylearn need no network: leave the URL out"
        raise TinylearnError(
            f"cannot read {where}: {reason}{hint if source and '://' in source else ''}", BAD_MODEL
        ) from None


def _download(url: str) -> bytes:
    """All of it, or an error."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("only http and https are spoken here")
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        raw = answer.read(MOST + 1)
        promised = answer.headers.get("Content-Length")
    if len(raw) > MOST:
        raise ValueError(f"it is larger than the {MOST >> 20} MB that a model may take")
    if promised and len(raw) != int(promised):
        raise ValueError(f"it broke off after {len(raw)} of {promised} bytes; run it again")
    return raw


def write_index(folder: Path, cards: dict[str, dict[str, str]]) -> None:
    """The index of the models in a folder: here, `python -m tinylearn_host.zoo`. cards: name -> summary, licence."""
    found = {}
    for name in sorted(cards):
        file = folder / name / f"{name}.tlm"
        model = tlm.read(file)
        facts = {
            "file": f"{name}/{file.name}",
            "sha256": hashlib.sha256(model.raw).hexdigest(),
            "bytes": len(model.raw),
        }
        found[name] = {**facts, "domain": str(model.meta.get("domain")), **cards[name]}
    temporary = folder / f".{INDEX}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(found, indent=2) + "\n")
    os.replace(temporary, folder / INDEX)


def write_release(folder: Path, target: Path) -> None:
    """The files of a release, side by side in `target`: index, models, float networks, cards."""
    target.mkdir(parents=True, exist_ok=True)
    found = json.loads((folder / INDEX).read_bytes())
    for name, facts in found.items():
        facts["file"] = f"{name}.tlm"
        for suffix in ("tlm", "onnx"):
            shutil.copyfile(folder / name / f"{name}.{suffix}", target / f"{name}.{suffix}")
        shutil.copyfile(folder / name / "card.md", target / f"{name}.md")
    (target / INDEX).write_text(json.dumps(found, indent=2) + "\n")


def cards(folder: Path) -> dict[str, dict[str, str]]:
    """Of each model in a folder, what its card says: the title's end, and the row on the licence."""
    found = {}
    for card in sorted(folder.glob("*/card.md")):
        lines = card.read_text("utf-8").splitlines()
        rows = [line.split("|")[2].strip() for line in lines if line.startswith("| licence |")]
        licence = rows[0].split(",")[0] if rows else "see its card"
        found[card.parent.name] = {"summary": lines[0].partition(": ")[2], "licence": licence}
    return found


if __name__ == "__main__":
    write_index(paths.MODELS, cards(paths.MODELS))
    if len(sys.argv) > 1:
        write_release(paths.MODELS, Path(sys.argv[1]))
