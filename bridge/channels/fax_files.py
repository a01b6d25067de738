"""Files of received faxes: whole and synced before anybody is told of them."""

from __future__ import annotations

import os
from pathlib import Path


def keep(file: Path, content: bytes) -> None:
    """Write a file that is not there yet, or is there with the same name and content. The group of
    its directory may read it. Raises OSError."""
    fresh = file.with_name(f".{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(descriptor, 0o640)
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
