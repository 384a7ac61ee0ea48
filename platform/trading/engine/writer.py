"""Makes batches durable; what became of one whose commit gave no clear answer is looked up, never guessed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

import asyncpg

from trading.infra.database import DatabaseError, connect
from trading.infra.journal import AmbiguousCommitError, Batch, JournalWriter
from trading.infra.outcome import look_up
from trading.infra.telemetry import log

_RETRY_S: Final = 0.05
_SPACE_POLL_S: Final = 0.1

# Classes of SQLSTATE that tell of the server's or the connection's condition. Any other error is the batch's own and
# would come again.
_PASSING: Final = ("08", "25", "40", "53", "57")


class Writer:
    """One leader's way into the journal. ``connection`` carries ``holder`` as its application_name.

    ``out_of_space``: while the server has no room for the batch under way.
    """

    def __init__(
        self,
        dsn: str,
        connection: asyncpg.Connection[Any],
        *,
        holder: str,
        epoch: int,
        deadline_s: float,
    ) -> None:
        self._dsn = dsn
        self._holder = holder
        self._epoch = epoch
        self._deadline_s = deadline_s
        self.out_of_space = False
        self._use(connection)

    async def commit(self, batch: Batch) -> None:
        """Returns when the batch is durable on the primary and its synchronous standby.

        A server without space has undone the batch and is asked until it has some: any other engine would fare alike.
        Raises FencedError when another epoch has begun; AmbiguousCommitError when the outcome cannot be found out
        in as much time again as a commit may take, or when the batch itself is at fault.
        """
        give_up_s = 0.0
        while True:
            try:
                await self._journal.commit(batch)
                self._has_space(True)
                return
            except AmbiguousCommitError as doubt:
                if isinstance(_failure(doubt), asyncpg.DiskFullError):
                    self._has_space(False)
                    give_up_s = 0.0
                    await asyncio.sleep(_SPACE_POLL_S)
                    continue
                if not _may_pass(doubt):
                    raise
                give_up_s = give_up_s or time.monotonic() + self._deadline_s
                sequence = batch.journal[-1][0]
                log("commit_ambiguous", level=logging.WARNING, sequence=sequence, reason=str(doubt))
                present = await self._find_out(sequence, give_up_s, doubt)
                log("commit_found" if present else "commit_repeated", sequence=sequence)
                if present:
                    return

    def _use(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        self._session = (connection.get_server_pid(), self._holder)
        self._journal = JournalWriter(connection, self._epoch, self._deadline_s)

    def close(self) -> None:
        self._connection.terminate()

    def _has_space(self, has: bool) -> None:
        if self.out_of_space == has:
            self.out_of_space = not has
            log("space_found" if has else "out_of_space", level=logging.INFO if has else logging.ERROR)

    async def _find_out(self, sequence: int, give_up_s: float, doubt: AmbiguousCommitError) -> bool:
        """Whether the batch is durable. The connection that told is used from then on."""
        self._connection.terminate()
        while (left_s := give_up_s - time.monotonic()) > 0:
            try:
                self._connection = await connect(self._dsn, self._holder)
                present = await look_up(
                    self._connection, epoch=self._epoch, sequence=sequence, old_session=self._session, deadline_s=left_s
                )
            except DatabaseError:
                self._connection.terminate()
                await asyncio.sleep(_RETRY_S)
            else:
                self._use(self._connection)
                return present
        raise doubt


def _may_pass(doubt: AmbiguousCommitError) -> bool:
    """Whether looking and writing again can help: not when the server finds fault with the batch itself."""
    failure = _failure(doubt)
    if isinstance(failure, asyncpg.PostgresError):
        return (failure.sqlstate or "").startswith(_PASSING)
    return True


def _failure(doubt: AmbiguousCommitError) -> BaseException | None:
    """What the database's client said."""
    return doubt.__cause__.__cause__ if doubt.__cause__ else None
