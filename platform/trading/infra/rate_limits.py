"""How much each caller may ask for: token buckets kept in Redis, and here while Redis is away.

The bucket is the generic cell rate algorithm: one number, the moment at which it will be full again. Checks that wait
in this process travel in one call, and a busy caller's next tokens come along with it, so that a check costs next to
nothing where the limit is far. A bucket known to be empty refuses without asking.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple, cast

from pydantic import Field
from redis.asyncio import Redis

from trading.infra.redis import StreamError
from trading.infra.telemetry import log


class LimitClass(StrEnum):
    ORDERS = "orders"
    CANCELS = "cancels"  # whatever takes risk away
    READS = "reads"
    DATA = "data"
    LOGIN = "login"
    NAMES = "names"  # log-ins by the name that is tried, from wherever
    STRANGERS = "strangers"  # by source address: whoever has not shown valid credentials yet
    CONNECTIONS = "connections"
    SUBSCRIPTIONS = "subscriptions"


class Rate(NamedTuple):
    """Tokens a second, and how many a full bucket holds."""

    per_s: Annotated[float, Field(gt=0)]
    burst: Annotated[int, Field(ge=1)]


DEFAULT_RATES: Final[Mapping[LimitClass, Rate]] = MappingProxyType(
    {
        LimitClass.ORDERS: Rate(5_000, 10_000),
        LimitClass.CANCELS: Rate(10_000, 20_000),
        LimitClass.READS: Rate(2_000, 4_000),
        LimitClass.DATA: Rate(1_000, 2_000),
        LimitClass.LOGIN: Rate(5, 50),
        LimitClass.NAMES: Rate(0.2, 10),
        LimitClass.STRANGERS: Rate(500, 1_000),
        LimitClass.CONNECTIONS: Rate(100, 1_000),
        LimitClass.SUBSCRIPTIONS: Rate(200, 2_000),
    }
)


class Decision(NamedTuple):
    """``limit`` and ``remaining`` in tokens. ``reset_s``: until the bucket is full; ``retry_after_s``: 0 if allowed."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_after_s: float


# Per key the tokens granted, the time until it is full and, when some were not granted, until the next one: in us.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {}
for i, key in ipairs(KEYS) do
    local interval, burst, wanted = 1000000 / ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    local full_at = math.max(now, tonumber(redis.call('GET', key) or 0))
    local room = math.floor((now - full_at) / interval + burst + 0.01)
    local granted = math.max(0, math.min(room, wanted))
    if granted > 0 then
        full_at = full_at + granted * interval
        redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
    end
    local empty_for = granted < wanted and math.max(0, full_at - now - (burst - 1) * interval) or 0
    answer[#answer + 1] = granted
    answer[#answer + 1] = math.ceil(full_at - now)
    answer[#answer + 1] = math.ceil(empty_for)
end
return answer
"""

_RETRY_S: Final = 0.5  # so long Redis is not asked again after it failed
_BUCKETS_KEPT: Final = 20_000
_ROUNDING: Final = 0.01  # of a token
# Of what a caller may do in a second, so much comes along with one call, for a second: what is not used then is lost.
_AHEAD: Final = 0.01
_AHEAD_S: Final = 1.0


@dataclass(slots=True, eq=False)
class _Bucket:
    """What this process knows of one bucket; moments are of the monotonic clock."""

    key: str
    rate: Rate
    full_at_s: float = 0.0
    empty_until_s: float = 0.0
    ahead: int = 0  # tokens already paid for
    ahead_until_s: float = 0.0

    @property
    def wanted_ahead(self) -> int:
        return int(min(self.rate.per_s, self.rate.burst) * _AHEAD)

    def room(self, now_s: float) -> int:
        return int(min(0.0, (now_s - self.full_at_s) * self.rate.per_s) + self.rate.burst + _ROUNDING)

    def decide(self, now_s: float) -> Decision | None:
        """Where the answer is known without Redis: it is paid for already, or the bucket certainly empty."""
        if self.ahead and now_s < self.ahead_until_s:
            self.ahead -= 1
            return self.allowed(now_s)
        return self.refused(now_s) if now_s < self.empty_until_s else None

    def take_here(self, now_s: float) -> Decision:
        """By this process's own account."""
        if self.room(now_s) < 1:
            self.empty_until_s = self.full_at_s - (self.rate.burst - 1) / self.rate.per_s
            return self.refused(now_s)
        self.full_at_s = max(now_s, self.full_at_s) + 1 / self.rate.per_s
        return self.allowed(now_s)

    def allowed(self, now_s: float) -> Decision:
        return Decision(True, self.rate.burst, self.room(now_s) + self.ahead, max(0.0, self.full_at_s - now_s), 0.0)

    def refused(self, now_s: float) -> Decision:
        return Decision(False, self.rate.burst, 0, self.full_at_s - now_s, max(0.0, self.empty_until_s - now_s))


_Waiting = dict[_Bucket, list[asyncio.Future[Decision]]]


class Limiter:
    """Asks Redis, in calls that carry all checks that wait. While it does not answer this process counts alone."""

    def __init__(
        self, client: Redis, rates: Mapping[LimitClass, Rate] = DEFAULT_RATES, *, patience_s: float = 0.02
    ) -> None:
        """An answer of Redis that takes longer than ``patience_s`` is not waited for."""
        self._rates = {**DEFAULT_RATES, **rates}
        self._script = client.register_script(_TAKE)
        self._patience_s = patience_s
        self._buckets: dict[tuple[LimitClass, str], _Bucket] = {}
        self._waiting: _Waiting = {}
        self._asking: asyncio.Task[None] | None = None
        self._away = False
        self._ask_again_at_s = 0.0

    @property
    def away(self) -> bool:
        """Whether Redis did not answer when it was asked last."""
        return self._away

    async def take(self, limit_class: LimitClass, name: str) -> Decision:
        """One token of the bucket ``name`` of this class. Never fails, and waits twice the patience at most."""
        bucket, now_s = self._bucket(limit_class, name), time.monotonic()
        if self._away and now_s >= self._ask_again_at_s:
            self._start_asking()
        known = bucket.decide(now_s)
        if known is not None or self._away:
            return known or bucket.take_here(now_s)
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(bucket, []).append(decided)
        self._start_asking()
        return await decided

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def _bucket(self, limit_class: LimitClass, name: str) -> _Bucket:
        bucket = self._buckets.get((limit_class, name))
        if bucket is None:
            if len(self._buckets) >= _BUCKETS_KEPT:
                self._forget()
            bucket = _Bucket(f"elson:limit:{limit_class}:{name}", self._rates[limit_class])
            self._buckets[limit_class, name] = bucket
        return bucket

    def _forget(self) -> None:
        """What is full again is as good as new. An attack from thousands of addresses at once costs the rest too."""
        now_s = time.monotonic()
        kept = {name: bucket for name, bucket in self._buckets.items() if bucket.full_at_s > now_s}
        self._buckets = kept if len(kept) < _BUCKETS_KEPT // 2 else {}

    # -- asking Redis ------------------------------------------------------------------------------

    def _start_asking(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        """Asks until nobody waits; with nobody waiting at the start, only whether Redis is back."""
        while True:
            batch, self._waiting = self._waiting, {}
            try:
                await self._ask(batch)
            finally:
                _resolve_here(batch)  # those that Redis did not
            if not self._waiting:
                return

    async def _ask(self, batch: _Waiting) -> None:
        arguments: list[float] = []
        for bucket, waiting in batch.items():
            arguments += (bucket.rate.per_s, bucket.rate.burst, len(waiting) + bucket.wanted_ahead)
        try:
            async with asyncio.timeout(self._patience_s if batch else None):  # nobody waits for a mere look
                keys = [bucket.key for bucket in batch]
                answers = cast(list[int], await self._script(keys=keys, args=arguments))
        except (StreamError, OSError, TimeoutError) as error:
            self._lost(error)
            return
        if self._away:
            self._away = False
            log("limits_with_redis")
        now_s = time.monotonic()
        for number, (bucket, waiting) in enumerate(batch.items()):
            _resolve(bucket, waiting, answers[3 * number : 3 * number + 3], now_s)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log("limits_without_redis", level=logging.WARNING, reason=str(error) or type(error).__name__)
        self._away, self._ask_again_at_s = True, time.monotonic() + _RETRY_S


def _resolve(bucket: _Bucket, waiting: list[asyncio.Future[Decision]], answer: list[int], now_s: float) -> None:
    granted, full_in_us, empty_for_us = answer
    bucket.full_at_s = now_s + full_in_us / 1e6
    if granted < len(waiting):
        bucket.empty_until_s = now_s + empty_for_us / 1e6
    bucket.ahead, bucket.ahead_until_s = max(0, granted - len(waiting)), now_s + _AHEAD_S
    for number, decided in enumerate(waiting):
        if not decided.done():  # its request may have been given up meanwhile
            decided.set_result(bucket.allowed(now_s) if number < granted else bucket.refused(now_s))


def _resolve_here(batch: _Waiting) -> None:
    now_s = time.monotonic()
    for bucket, waiting in batch.items():
        for decided in waiting:
            if not decided.done():
                decided.set_result(bucket.take_here(now_s))


def source_of(address: str) -> str:
    """Whom an address stands for: an IPv6 user has a whole /64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return address
