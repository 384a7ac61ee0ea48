"""Who may write: a lease with an epoch in PostgreSQL, judged by the database's clock alone.

The lease row decides who leads, the epoch row fences: every batch locks the epoch row in share mode inside its
own statement, so a leader that was deposed while it slept cannot commit anything afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from trading.infra.database import DatabaseError, connect, within

_EXPIRED = "SELECT holder FROM leader_lease WHERE id = 1 AND expires_at < clock_timestamp()"

_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = $1 AND pid <> pg_backend_pid()
"""

_WIN = """
WITH won AS (
    UPDATE leader_lease
    SET epoch = epoch + 1, holder = $1, expires_at = clock_timestamp() + make_interval(secs => $2)
    WHERE id = 1 AND expires_at < clock_timestamp()
    RETURNING epoch
)
UPDATE leader_epoch SET epoch = won.epoch FROM won WHERE id = 1 RETURNING leader_epoch.epoch
"""

_RENEW = """
UPDATE leader_lease SET expires_at = clock_timestamp() + make_interval(secs => $3)
WHERE id = 1 AND epoch = $1 AND holder = $2 RETURNING epoch
"""

_RELEASE = "UPDATE leader_lease SET expires_at = '-infinity' WHERE id = 1 AND epoch = $1 AND holder = $2"


class LeaseLostError(Exception):
    """Another holder has the lease, or it could not be renewed in time: stop writing and end."""


@dataclass(slots=True)
class Lease:
    """One contender's hold on leadership. ``holder`` is also its sessions' application_name."""

    dsn: str
    holder: str
    ttl_s: float
    epoch: int = 0
    _connection: asyncpg.Connection[Any] | None = None

    async def try_win(self) -> bool:
        """Takes an expired lease: ends the old holder's sessions, then raises the epoch.

        The winning update waits for the synchronous standby, and with it everything that was visible before,
        so whatever the winner then reads from the journal is durable. Raises DatabaseError.
        """
        connection = await self._connected()
        old_holder = await within(connection, connection.fetchval(_EXPIRED), self.ttl_s * 4)
        if old_holder is None:
            return False
        if old_holder:
            await within(connection, connection.fetchval(_END_SESSIONS, old_holder), self.ttl_s * 4)
        epoch = await within(connection, connection.fetchval(_WIN, self.holder, self.ttl_s), self.ttl_s * 8)
        if epoch is None:
            return False
        self.epoch = epoch
        # A renewal that is lost with the primary only ends the lease early, so it need not wait for the standby.
        await within(connection, connection.execute("SET synchronous_commit = local"), self.ttl_s)
        return True

    async def renew(self, deadline_s: float) -> None:
        """Raises LeaseLostError when the lease is no longer ours or cannot be renewed within ``deadline_s``."""
        try:
            connection = await self._connected()
            renewed = await within(
                connection, connection.fetchval(_RENEW, self.epoch, self.holder, self.ttl_s), deadline_s
            )
        except DatabaseError as error:
            raise LeaseLostError(str(error)) from error
        if renewed is None:
            raise LeaseLostError(f"epoch {self.epoch} is over")

    async def release(self) -> None:
        """Lets the standby take over at once; used for an orderly end."""
        if self.epoch and self._connection is not None and not self._connection.is_closed():
            await within(self._connection, self._connection.execute(_RELEASE, self.epoch, self.holder), self.ttl_s)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def _connected(self) -> asyncpg.Connection[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self.dsn, self.holder)
        return self._connection
