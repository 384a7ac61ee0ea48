"""Files that are there wholly or not at all, and are never overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any

from stack.backup.errors import ConflictError
from stack.durable import SCRATCH, replace_text, sync_folder


@contextmanager
def placed(path: Path) -> Iterator[BufferedRandom]:
    """A new file that appears under its name, durable, when the block ends well, and not at all otherwise.

    Raises ConflictError when there is a file of that name by then, OSError when the disk is full or gone.
    """
    scratch = path.with_name(f".{path.name}{SCRATCH}")
    try:
        with os.fdopen(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(scratch, path)  # unlike a rename it replaces nothing
        except FileExistsError:
            raise ConflictError(f"{path} is there already") from None
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, document: Any) -> None:
    """Atomically, in place of what was there."""
    replace_text(path, json.dumps(document, indent=1))


def remove_scratch(folder: Path) -> list[Path]:
    """What a killed writer left half done."""
    left = sorted(folder.glob(f".*{SCRATCH}"))
    for path in left:
        path.unlink(missing_ok=True)
    return left
