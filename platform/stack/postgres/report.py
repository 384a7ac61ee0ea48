"""What the supervisor says: one JSON line per change into its log, and the same as an event of the run."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final, TextIO

from stack.errors import StackError
from stack.postgres.host import ProcessHost

_EVENT_LIMIT: Final = 100  # more wait than this only when the owner hangs


class Report:
    """``tell`` never waits: a slow listener must not slow a failover."""

    def __init__(self, host: ProcessHost, log: TextIO | None = None) -> None:
        self._host = host
        self._log = log or sys.stdout
        self._sending: set[asyncio.Task[None]] = set()

    def log(self, name: str, **fields: object) -> None:
        line = {"at": round(time.time(), 3), "event": name, **fields}
        self._log.write(json.dumps(line, default=str) + "\n")
        self._log.flush()

    def tell(self, name: str, **fields: object) -> None:
        self.log(name, **fields)
        if len(self._sending) < _EVENT_LIMIT:
            task = asyncio.get_running_loop().create_task(self._send(name, fields))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        await asyncio.gather(*self._sending)

    async def _send(self, name: str, fields: dict[str, object]) -> None:
        try:
            await self._host.event(name, fields)
        except StackError as error:
            self.log("event_not_delivered", lost=name, error=str(error))
