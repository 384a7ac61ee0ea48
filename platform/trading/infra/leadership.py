"""Who may write: a lease with an epoch in PostgreSQL, judged by the database's clock alone.

The lease row decides who leads, the epoch row fences: every batch locks the epoch row in share mode inside its
own statement, so a leader that was deposed while it slept cannot commit anything afterwards. A lease that has run out
is therefore still its holder's to renew while nobody else has won it: when the database itself was away, as in its
own fail-over, a change of leaders on top would only cost time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from trading.infra.database import DatabaseError, connect, within

# How many TTLs after its end a lease is still tried to be renewed: enough for a switchover, and no longer, because a
# leader that is cut off for good is missed as a standby meanwhile.
_PATIENCE: Final = 1
_GRACE: Final = 0.5  # the part of a TTL for which a contender that was without the database lets the holder go first
_ASK_AGAIN_S: Final = 0.02

_EXPIRED = """
SELECT holder, expires_at < clock_timestamp() - make_interval(secs => $1) AS given_up
FROM leader_lease WHERE id = 1 AND expires_at < clock_timestamp()
"""

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

# A renewal that is lost with the primary only ends the lease early, so it need not wait for the standby.
_RENEW = """
WITH quickly AS MATERIALIZED (SELECT set_config('synchronous_commit', 'local', true))
UPDATE leader_lease SET expires_at = clock_timestamp() + make_interval(secs => $3)
FROM quickly WHERE id = 1 AND epoch = $1 AND holder = $2 RETURNING epoch
"""

_RELEASE = "UPDATE leader_lease SET expires_at = '-infinity' WHERE id = 1 AND epoch = $1 AND holder = $2"


class LeaseLostError(Exception):
    """Another holder has the lease, or nothing has been heard of it for too long: stop writing and end."""


@dataclass(frozen=True, slots=True)
class _Session:
    """A connection with its statements prepared: on a slow link each use then costs one round trip, not two."""

    connection: asyncpg.Connection[Any]
    opened_s: float
    expired: PreparedStatement[Any]
    end_sessions: PreparedStatement[Any]
    win: PreparedStatement[Any]
    renew: PreparedStatement[Any]

    @classmethod
    async def open(cls, dsn: str, holder: str, deadline_s: float) -> _Session:
        connection = await connect(dsn, holder)
        try:
            prepared = [
                await within(connection, connection.prepare(query), deadline_s)
                for query in (_EXPIRED, _END_SESSIONS, _WIN, _RENEW)
            ]
        except BaseException:
            connection.terminate()
            raise
        return cls(connection, time.monotonic(), *prepared)


@dataclass(slots=True)
class Lease:
    """One contender's hold on leadership. ``holder`` is also its sessions' application_name.

    ``held_until_s`` is on the system's monotonic clock, and never later than what the database granted. Until then
    nobody else can have won it.
    """

    dsn: str
    holder: str
    ttl_s: float
    epoch: int = 0
    held_until_s: float = 0.0
    _session: _Session | None = None

    async def try_win(self) -> bool:
        """Takes an expired lease: ends the old holder's sessions, then raises the epoch.

        The winning update waits for the synchronous standby, and with it everything that was visible before,
        so whatever the winner then reads from the journal is durable. Raises DatabaseError.
        """
        session = await self._connected()
        patience_s = _PATIENCE * self.ttl_s
        expired = await within(session.connection, session.expired.fetchrow(patience_s), self.ttl_s * 4)
        if expired is None:
            return False
        if not expired["given_up"] and time.monotonic() < session.opened_s + _GRACE * self.ttl_s:
            return False
        if expired["holder"]:
            await within(session.connection, session.end_sessions.fetchval(expired["holder"]), self.ttl_s * 4)
        asked_s = time.monotonic()
        epoch = await within(session.connection, session.win.fetchval(self.holder, self.ttl_s), self.ttl_s * 8)
        if epoch is None:
            return False
        self.epoch, self.held_until_s = epoch, asked_s + self.ttl_s
        return True

    async def renew(self) -> None:
        """Asks until the database answers. Raises LeaseLostError when the lease is another's or no answer comes."""
        give_up_s = self.held_until_s + _PATIENCE * self.ttl_s
        while (asked_s := time.monotonic()) < give_up_s:
            try:
                async with asyncio.timeout(give_up_s - asked_s):
                    session = await self._connected()
                    renewal = session.renew.fetchval(self.epoch, self.holder, self.ttl_s)
                    renewed = await within(session.connection, renewal, self.ttl_s)
            except (DatabaseError, TimeoutError):
                await asyncio.sleep(_ASK_AGAIN_S)
                continue
            if renewed is None:
                raise LeaseLostError(f"epoch {self.epoch} is over")
            self.held_until_s = asked_s + self.ttl_s
            return
        raise LeaseLostError("not renewed in time")

    async def assured(self) -> None:
        """Returns once the lease certainly is ours; ``renew`` must be at work, and is what ends it otherwise."""
        while time.monotonic() >= self.held_until_s:
            await asyncio.sleep(_ASK_AGAIN_S)

    async def release(self) -> None:
        """Lets the standby take over at once; used for an orderly end."""
        if self.epoch and self._session is not None and not self._session.connection.is_closed():
            release = self._session.connection.execute(_RELEASE, self.epoch, self.holder)
            await within(self._session.connection, release, self.ttl_s)

    def close(self) -> None:
        if self._session is not None:
            self._session.connection.terminate()

    async def _connected(self) -> _Session:
        if self._session is None or self._session.connection.is_closed():
            self._session = await _Session.open(self.dsn, self.holder, self.ttl_s * 4)
        return self._session
