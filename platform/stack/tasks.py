"""Tasks that end when they are told to."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 1.0


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels them until they have ended; what they raise stays with them.

    Once is not always enough: a time-out, aiohttp's or ``wait_for``'s, that passes in the same turn of the loop takes
    the cancellation for its own and swallows it.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN_S)
