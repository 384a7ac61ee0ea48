"""What the routes share: the connections of this process, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from redis.asyncio import Redis

from trading.api.engine_client import EngineClient
from trading.api.errors import ApiError
from trading.api.metrics import ApiMetrics
from trading.core.orders import AccountId
from trading.infra.database import Pool
from trading.infra.keys import KeyRing
from trading.infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    engine: EngineClient
    database: Pool
    redis: Redis
    keys: KeyRing
    metrics: ApiMetrics

    @property
    def deadline_s(self) -> float:
        return self.settings.request_deadline_ms / 1000


async def context(request: Request) -> Context:  # async, or it would be sent through the thread pool
    return cast(Context, request.app.state.context)


KEY_ID_HEADER: Final = "APCA-API-KEY-ID"
SECRET_HEADER: Final = "APCA-API-SECRET-KEY"

ContextOf = Annotated[Context, Depends(context)]


async def caller(
    shared: ContextOf,
    key_id: Annotated[str, Header(alias=KEY_ID_HEADER, max_length=64)] = "",
    secret: Annotated[str, Header(alias=SECRET_HEADER, max_length=128)] = "",
) -> AccountId:
    """The account behind the key headers."""
    account_id = await shared.keys.account_of(key_id, secret) if key_id else None
    if account_id is None:
        raise ApiError(401, "request is not authorized")
    return account_id


Caller = Annotated[AccountId, Depends(caller)]
