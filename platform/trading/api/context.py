"""What the routes share: the connections of this process, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from redis.asyncio import Redis

from trading.api import front
from trading.api.access import Right, Table
from trading.api.cookies import SAFE_METHODS, require_own_page, session_token
from trading.api.engine_client import EngineClient
from trading.api.errors import ApiError
from trading.api.metrics import ApiMetrics
from trading.api.reads import Reads
from trading.api.yesterday import Yesterday
from trading.core.orders import AccountId
from trading.infra.aged_reads import AgedReads
from trading.infra.database import Pool
from trading.infra.identity import Identity
from trading.infra.keys import KeyRing
from trading.infra.passwords import Passwords
from trading.infra.rate_limits import Limiter
from trading.infra.sessions import Sessions
from trading.infra.settings import Settings

KEY_ID_HEADER: Final = "APCA-API-KEY-ID"
SECRET_HEADER: Final = "APCA-API-SECRET-KEY"


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    engine: EngineClient
    database: Pool
    redis: Redis
    keys: KeyRing
    metrics: ApiMetrics
    table: Table
    limiter: Limiter
    sessions: Sessions
    passwords: Passwords
    yesterday: Yesterday
    reads: Reads
    history: AgedReads

    @property
    def deadline_s(self) -> float:
        """How long the request at hand may take: its client's word, or the default."""
        return front.timeout_s.get() or self.settings.request_deadline_ms / 1000


async def context(request: Request) -> Context:  # async, or it would be sent through the thread pool
    return cast(Context, request.app.state.context)


ContextOf = Annotated[Context, Depends(context)]


async def admit(request: Request, shared: ContextOf) -> Identity | None:
    """Who asks, if the table lets them; None where nobody is asked. Every route of the application depends on it."""
    rights = shared.table[request.method, request.scope["route"].path]
    if rights is None:
        return None
    identity = await identify(request, shared)
    if identity is None:
        raise ApiError(401, "request is not authorized")
    request.scope["identity"] = identity
    if rights[identity.role] is Right.NONE:
        raise ApiError(403, f"{identity.role} may not do this")
    return identity


async def identify(request: Request, shared: Context) -> Identity | None:
    """By the key headers; without those by the session's cookie, which a foreign page may not make use of.

    None for nobody. Raises ApiError for a foreign page, DatabaseError and SessionsAwayError when it cannot be told.
    """
    key_id = request.headers.get(KEY_ID_HEADER)
    if key_id is not None:
        return await shared.keys.identify(key_id, request.headers.get(SECRET_HEADER, ""))
    token = session_token(request, shared.settings)
    if token is None:
        return None
    if request.method not in SAFE_METHODS:
        require_own_page(request)
    return await shared.sessions.identify(token)


async def who(identity: Annotated[Identity | None, Depends(admit)]) -> Identity:
    if identity is None:
        raise ApiError(401, "request is not authorized")
    return identity


Who = Annotated[Identity, Depends(who)]


async def caller(identity: Who) -> AccountId:
    """The account of who asks, whose objects alone the route may touch."""
    if identity.account_id is None:
        raise ApiError(403, f"{identity.role} has no account")
    return identity.account_id


Caller = Annotated[AccountId, Depends(caller)]
