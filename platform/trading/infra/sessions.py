"""Sessions of people, kept in Redis: an opaque cookie whose hash alone is stored, with an idle and an absolute end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from redis.asyncio import Redis

from trading.infra.database import Pool
from trading.infra.identity import Identity
from trading.infra.people import Person, get_person
from trading.infra.redis import StreamError
from trading.infra.remembered import FRESH_S, STALE_S, Remembered

_TOKEN_BYTES: Final = 32
_TOKEN_LENGTH: Final = 43  # of its base64
_KEPT_PER_PERSON: Final = 20  # the oldest is ended for one more

# KEYS: the session, its person's index. ARGV: id, idle and absolute time-out in ms, sessions kept, fields.
# The index holds the person's session ids by the moment of their absolute end.
_BEGIN: Final = """
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
redis.call('HSET', KEYS[1], 'began', now, 'seen', now, 'ends', now + ARGV[3], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[2], ARGV[3]))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now_us)
redis.call('ZADD', KEYS[2], now_us + ARGV[3] * 1000, ARGV[1])  -- in microseconds: no two begin in the same one
redis.call('PEXPIREAT', KEYS[2], now + ARGV[3])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -ARGV[4] - 1)) do
    redis.call('DEL', 'elson:session:' .. id)
    redis.call('ZREM', KEYS[2], id)
end
"""

# A session that is used begins its idle time anew, never beyond its absolute end.
_USE: Final = """
local found = redis.call('HMGET', KEYS[1], 'name', 'generation', 'ends')
if not found[1] then return nil end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'seen', now)
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[1], found[3] - now))
return found
"""

_END: Final = """
local name = redis.call('HGET', KEYS[1], 'name')
if not name then return 0 end
redis.call('ZREM', 'elson:sessions:' .. name, ARGV[1])
return redis.call('DEL', KEYS[1])
"""

_END_ALL: Final = """
local ended = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    ended = ended + redis.call('DEL', 'elson:session:' .. id)
end
redis.call('DEL', KEYS[1])
return ended
"""


class SessionsAwayError(Exception):
    """Redis did not answer: whether a session counts cannot be told."""


@dataclass(frozen=True, slots=True)
class Session:
    """What may be shown of a session; its id is no cookie. ``source`` is the address it was begun from."""

    session_id: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    source: str


class Sessions:
    """Begins, recognises, lists and ends sessions. Every method raises SessionsAwayError when Redis does not answer.

    A session counts only with the generation its person had when it began. That is in PostgreSQL, looked up at most a
    second before: sessions that were ended with a new generation do not come back to life with a primary that had not
    heard of it. Whoever cannot be told is refused: there is no copy in PostgreSQL, which every request would have to
    write (the idle end), for the two seconds in which nobody leads.
    """

    def __init__(self, client: Redis, pool: Pool, *, idle_s: float, absolute_s: float) -> None:
        self._client = client
        self._idle_ms, self._absolute_ms = round(idle_s * 1000), round(absolute_s * 1000)
        self._people = Remembered(lambda name: get_person(pool, name), fresh_s=FRESH_S, stale_s=STALE_S)
        self._begin, self._use = client.register_script(_BEGIN), client.register_script(_USE)
        self._end, self._end_all = client.register_script(_END), client.register_script(_END_ALL)

    @property
    def absolute_s(self) -> float:
        return self._absolute_ms / 1000

    async def begin(self, person: Person, source: str) -> str:
        """A new session's cookie, known to nobody before."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        session_id = _id(token)
        fields = ("name", person.name, "generation", person.generation, "source", source)
        try:
            await self._begin(
                keys=[_key(session_id), _index(person.name)],
                args=[session_id, self._idle_ms, self._absolute_ms, _KEPT_PER_PERSON, *fields],
            )
        except (StreamError, OSError) as error:
            raise _away(error) from error
        return token

    async def identify(self, token: str) -> Identity | None:
        """Whose session a cookie belongs to, which counts as used now; None for any other. Raises DatabaseError too."""
        person = await self.person_of(token)
        return person.identity if person else None

    async def person_of(self, token: str) -> Person | None:
        """Like ``identify``."""
        if len(token) != _TOKEN_LENGTH or not token.isascii():
            return None
        try:
            found = cast(list[bytes] | None, await self._use(keys=[_key(_id(token))], args=[self._idle_ms]))
        except (StreamError, OSError) as error:
            raise _away(error) from error
        if found is None:
            return None
        name, generation = found[0].decode(), found[1].decode()
        person = await self._people.get(name)
        if person is None or person.generation != generation:  # ended, or begun since we looked
            person = await self._people.get_again(name)
        return person if person and person.generation == generation else None

    async def end(self, token: str) -> None:
        """Again does nothing."""
        await self.end_one(_id(token))

    async def end_one(self, session_id: str) -> bool:
        """Whether there was such a session."""
        try:
            return bool(await self._end(keys=[_key(session_id)], args=[session_id]))
        except (StreamError, OSError) as error:
            raise _away(error) from error

    async def end_all(self, name: str) -> int:
        """How many sessions of this person were ended; ``people.end_sessions`` makes it last."""
        try:
            return int(await self._end_all(keys=[_index(name)]))
        except (StreamError, OSError) as error:
            raise _away(error) from error

    async def list(self, name: str) -> list[Session]:
        """A person's sessions, the one that ends first first."""
        try:
            ids = [found.decode() for found in cast(list[bytes], await self._client.zrange(_index(name), 0, -1))]
            async with self._client.pipeline(transaction=False) as pipeline:
                for session_id in ids:
                    pipeline.hgetall(_key(session_id))
                answers = cast(list[dict[bytes, bytes]], await pipeline.execute())
        except (StreamError, OSError) as error:
            raise _away(error) from error
        return [_session(*pair) for pair in zip(ids, answers, strict=True) if pair[1]]


def _id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _key(session_id: str) -> str:
    return f"elson:session:{session_id}"


def _index(name: str) -> str:
    return f"elson:sessions:{name}"


def _session(session_id: str, fields: dict[bytes, bytes]) -> Session:
    began, seen, ends = (datetime.fromtimestamp(int(fields[name]) / 1000, UTC) for name in (b"began", b"seen", b"ends"))
    return Session(session_id, began, seen, ends, fields[b"source"].decode())


def _away(error: Exception) -> SessionsAwayError:
    return SessionsAwayError(f"sessions cannot be looked up: {error or type(error).__name__}")
