"""Redis behind Sentinel: all sentinels are asked at once who leads, and whoever does must say so before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.exceptions import RedisError

LIMIT_S: Final = 0.25  # for the sentinels' answers
FIRST_LIMIT_S: Final = 2.0  # while nobody is known who could be taken instead

Address = tuple[str, int]


class _Told(NamedTuple):
    """``epoch`` of the election; the highest is the latest, for each takes a majority."""

    epoch: int
    alive: bool
    address: Address


def connect_through(
    sentinels: Sequence[Address], service: str, reached_at: Mapping[Address, Address], **options: Any
) -> Redis:
    """A client of whoever leads ``service``. ``reached_at``: where a server is found instead of its own address."""
    asked = _Sentinels(sentinels, reached_at, options)
    return Redis.from_pool(_Pool(service, asked, connection_class=_Connection, **options))  # type: ignore[no-untyped-call]


class _Sentinels(Sentinel):
    """redis-py's asks one after the other, so that one that hangs holds up everybody."""

    def __init__(
        self, sentinels: Sequence[Address], reached_at: Mapping[Address, Address], options: Mapping[str, Any]
    ) -> None:
        limits = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), FIRST_LIMIT_S)
        super().__init__(sentinels, sentinel_kwargs={**options, **limits, "db": 0})  # type: ignore[no-untyped-call]
        self._reached_at = reached_at
        self._last: Address | None = None
        self._asking: asyncio.Task[Address] | None = None
        self._answers: set[asyncio.Task[_Told | None]] = set()

    async def discover_master(self, service_name: str) -> Address:
        """Where the primary is reached. Who asks meanwhile shares the question. Raises MasterNotFoundError."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(service_name))
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # none may wait any more
        return await asyncio.shield(self._asking)

    async def aclose(self) -> None:
        tasks = {task for task in (self._asking, *self._answers) if task}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().aclose()

    async def _ask(self, service: str) -> Address:
        told = await self._told(service)
        if told:
            latest = max(told)
            if not latest.alive:
                raise MasterNotFoundError(f"{service} has no primary: {shown(latest.address)} is down")
            self._last = latest.address
        if self._last is None:
            raise MasterNotFoundError(f"none of {len(self.sentinels)} sentinels knows who leads {service}")
        # With no sentinel there is no election either: who led may lead still.
        return self._reached_at.get(self._last, self._last)

    async def _told(self, service: str) -> list[_Told]:
        """What they say, until more than half have and know a primary that lives; who hangs then holds up nobody."""
        waiting = {asyncio.create_task(_told_by(sentinel, service)) for sentinel in self.sentinels}
        self._answers |= waiting
        loop = asyncio.get_running_loop()
        until_s = loop.time() + (FIRST_LIMIT_S if self._last is None else LIMIT_S)
        told = list[_Told]()
        while waiting and not self._suffices(told) and (left_s := until_s - loop.time()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            told += [answer for answer in (task.result() for task in done) if answer]
        self._answers = {task for task in self._answers if not task.done()}
        return told

    def _suffices(self, told: list[_Told]) -> bool:
        """Two that have not heard yet of an election may be the first to answer."""
        return len(told) > len(self.sentinels) // 2 and max(told).alive


class _Pool(SentinelConnectionPool):
    """As redis-py's; the connections to the sentinels end with it."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _Connection(SentinelManagedConnection):
    """To a server that says it leads. What fails on one connection is believed of all that are idle."""

    async def connect_to(self, address: Address) -> None:
        await super().connect_to(address)  # type: ignore[no-untyped-call]
        try:
            await self.send_command("ROLE")
            role = await self.read_response()
            if role[0] != b"master":
                raise exceptions.ConnectionError(f"{shown(address)} does not lead yet, or no longer")
        except BaseException:  # also when cancelled: the pool would take it for a connection that was examined
            await self.disconnect(nowait=True)
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            await self.connection_pool.disconnect(inuse_connections=False)
            raise


async def _told_by(sentinel: Redis, service: str) -> _Told | None:
    """The address comes apart from the state: it is that of the newly elected even before the state is."""
    try:
        async with sentinel.pipeline(transaction=False) as pipeline:
            pipeline.sentinel_master(service)
            pipeline.sentinel_get_master_addr_by_name(service)
            state, (host, port) = await pipeline.execute()
    except (RedisError, OSError):
        return None
    address, down = (host.decode(), port), state["is_sdown"] or state["is_odown"]
    return _Told(state["config-epoch"], not down or address != (state["ip"], state["port"]), address)


def shown(address: Address) -> str:
    return ":".join(map(str, address))
