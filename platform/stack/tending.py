"""What the two processes that tend the database cluster have in common: how they start, and how they refuse to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from stack.errors import StackError

_WRONG_USAGE: Final = 2


def run(serve: Callable[[Path], Awaitable[None]], *, config: str, niceness: int) -> None:
    """Serves by the configuration file that the environment variable ``config`` names.

    Exits with 2, and says why on standard error, when ``serve`` raises StackError.
    """
    path = os.environ.get(config)
    if not path:
        sys.exit(f"{config} must name this process's configuration file")
    with contextlib.suppress(PermissionError):
        os.nice(niceness)

    async def serving() -> None:
        await serve(Path(path))

    try:
        asyncio.run(serving())
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_WRONG_USAGE)


def commit() -> str:
    """Of the running code, for a log's first line; "unknown" outside a checkout."""
    argv = ("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
