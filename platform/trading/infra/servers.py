"""Which PostgreSQL server is the primary: all addresses of a DSN are asked, and one of an older epoch is none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[Any]"  # asyncpg's own class has no parameters when it runs

_HEAD_START_S: Final = 0.1  # of the address that was right the last time: mostly it still is
_EPOCH: Final = "SELECT epoch FROM cluster_epoch"


class OlderEpochError(Exception):
    """This server was the primary once; its cluster has another since."""


class NoPrimaryError(Exception):
    """None of several servers is the primary; says of each address why not."""


class _Primary(NamedTuple):
    epoch: int
    connection: Connection


@dataclass(slots=True)
class Servers:
    """The servers of one DSN, as this process knows them; ``epoch`` is the highest it has met."""

    dsns: tuple[str, ...]  # one for each address
    last_good: int = 0
    epoch: int = 0

    @classmethod
    def of(cls, dsn: str) -> Servers:
        """Several hosts are separated by commas, as in ``postgresql://user@h1:1,h2:2/name``."""
        parts = urlsplit(dsn)
        user, at, hosts = parts.netloc.rpartition("@")
        return cls(tuple(urlunsplit(parts._replace(netloc=user + at + host)) for host in hosts.split(",")))

    @property
    def several(self) -> bool:
        return len(self.dsns) > 1

    async def open(self, **options: Any) -> Connection:
        """A connection to the one address, or to the first of several that is the primary.

        Raises what asyncpg raises or, for several, NoPrimaryError. Sets no limit of its own, and leaves nothing open
        when it is cancelled.
        """
        if not self.several:
            return await asyncpg.connect(self.dsns[0], **options)
        attempts = {asyncio.create_task(self._attempt(self.last_good, options)): self.last_good}
        try:
            ended, running = await asyncio.wait(attempts, timeout=_HEAD_START_S)
            if not any(map(_succeeded, ended)):
                others = [number for number in range(len(self.dsns)) if number != self.last_good]
                more = {asyncio.create_task(self._attempt(number, options)): number for number in others}
                attempts |= more
                running |= more.keys()
            while running and not any(map(_succeeded, ended)):
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if found := max(filter(_succeeded, ended), key=_epoch_of, default=None):
                del attempts[found]
                return found.result().connection
            raise NoPrimaryError(
                "; ".join(f"{self._address(n)}: {attempt.exception()}" for attempt, n in attempts.items())
            )
        finally:
            await _undo(attempts)

    async def _attempt(self, number: int, options: dict[str, Any]) -> _Primary:
        connection = await asyncpg.connect(self.dsns[number], target_session_attrs="read-write", **options)
        try:
            epoch = await _epoch(connection)
            self._accept(epoch)
        except BaseException:
            connection.terminate()
            raise
        self.last_good = number
        return _Primary(epoch, connection)

    def _address(self, number: int) -> str:
        return urlsplit(self.dsns[number]).netloc.rpartition("@")[2]

    def _accept(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise OlderEpochError(f"the server is of epoch {epoch}, its cluster has reached {self.epoch}")
        self.epoch = epoch


async def _epoch(connection: Connection) -> int:
    """0 in a database whose cluster nobody supervises."""
    try:
        epoch: int | None = await connection.fetchval(_EPOCH)
    except asyncpg.UndefinedTableError:
        return 0
    return epoch or 0


def _succeeded(attempt: asyncio.Task[_Primary]) -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None


def _epoch_of(attempt: asyncio.Task[_Primary]) -> int:
    return attempt.result().epoch


async def _undo(attempts: Collection[asyncio.Task[_Primary]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    if attempts:
        await asyncio.wait(attempts)
    for attempt in filter(_succeeded, attempts):
        attempt.result().connection.terminate()
