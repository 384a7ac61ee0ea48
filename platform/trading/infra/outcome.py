"""What became of a batch whose commit gave no clear answer: looked up where it can no longer change."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from trading.infra.database import DatabaseError, within
from trading.infra.journal import UNREPLICATED_WARNING, AmbiguousCommitError, FencedError

# The old session may still be waiting for the standby, or have its statement on the way to it: it must be gone. The
# name is compared too, because after a fail-over of the database the same pid may be anybody's.
_END_SESSION: Final = """
SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity
WHERE pid = $1 AND application_name = $2 AND pid <> pg_backend_pid()
"""

# Conflicts with the share lock that every batch holds to its end, and with an update of the epoch. It is also a write,
# so the commit after it returns only when everything visible here is on the synchronous standby.
_LOCK_EPOCH: Final = "SELECT 1 FROM leader_epoch WHERE id = 1 AND epoch = $1 FOR NO KEY UPDATE"

_PRESENT: Final = "SELECT EXISTS (SELECT 1 FROM journal WHERE sequence = $1 AND epoch = $2)"


async def look_up(
    connection: asyncpg.Connection[Any],
    *,
    epoch: int,
    sequence: int,
    old_session: tuple[int, str],
    deadline_s: float,
) -> bool:
    """Whether the record is durable on both servers; False when it is on neither and never will be.

    ``old_session`` is the pid and application_name of the session that wrote it. Raises FencedError when another epoch
    has begun, DatabaseError when it could not be found out; then ``connection`` is of no further use.
    """
    return await within(connection, _look_up(connection, epoch, sequence, old_session, deadline_s), deadline_s)


async def _look_up(
    connection: asyncpg.Connection[Any], epoch: int, sequence: int, old_session: tuple[int, str], deadline_s: float
) -> bool:
    warnings: list[str] = []
    connection.add_log_listener(lambda _, message: warnings.append(str(message)))
    for (ended,) in await connection.fetch(_END_SESSION, *old_session, int(deadline_s * 1e3)):
        if not ended:
            raise DatabaseError("the session that wrote it does not end")
    async with connection.transaction():
        if not await connection.fetchval(_LOCK_EPOCH, epoch):
            raise FencedError(f"epoch {epoch} is over")
        # A statement of its own: its snapshot is taken after the lock was.
        present: bool = await connection.fetchval(_PRESENT, sequence, epoch)
    if any(UNREPLICATED_WARNING in warning for warning in warnings):
        raise AmbiguousCommitError(UNREPLICATED_WARNING)
    return present
