"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from tinylearn_host.errors import BAD_DATA, TinylearnError


def write(path: Path, content: bytes | str, exit_code: int = BAD_DATA) -> None:
    """Write to a temporary name first, so that a half-written file is never seen. TinylearnError says why it cannot."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TinylearnError(f"cannot write {path}: {error.strerror}", exit_code) from None
