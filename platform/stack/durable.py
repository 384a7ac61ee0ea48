"""Files that survive a power cut: as they were, or as they were meant to be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SCRATCH: Final = ".new"  # how the names of files end that are being written


def replace_text(path: Path, text: str) -> None:
    """Atomically, in place of what was there, readable for this user only; durable when it returns."""
    scratch = path.with_name(f".{path.name}{SCRATCH}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in it durable, after files were created, renamed or removed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
