"""PostgreSQL's own tools (initdb, pg_basebackup, pg_rewind), run to their end."""

from __future__ import annotations

from stack.errors import StartError
from stack.process import ChildProcess, Launch, log_tail


async def run(launch: Launch, what: str) -> None:
    """Runs a program to its end, which cancelling hastens. Raises StartError when it fails."""
    process = ChildProcess.start(launch)
    try:
        code = await process.wait()
    finally:
        await process.kill()
    if code != 0:
        raise StartError(f"{what} failed with exit code {code}; its log ({launch.log}) ends:\n{log_tail(launch.log)}")
