"""/v2/clock: whether any market trades, by the calendar of continuous UTC days."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response

from trading.api.answer import answer
from trading.api.context import ContextOf
from trading.core.orders import NS_PER_S
from trading.wire.orders import rfc3339

router = APIRouter(prefix="/v2")

_ANY_OPEN: Final = "SELECT EXISTS (SELECT 1 FROM markets WHERE phase = 'continuous') AS is_open"
_DAY: Final = timedelta(days=1)


@router.get("/clock")
async def get_clock(shared: ContextOf) -> Response:
    ((is_open,),) = await shared.database.fetch(_ANY_OPEN)
    now_ns = time.time_ns()
    next_open, next_close = next_changes(datetime.fromtimestamp(now_ns // NS_PER_S, UTC), is_open=is_open)
    return answer(
        {
            "timestamp": rfc3339(now_ns),
            "is_open": is_open,
            "next_open": f"{next_open:%Y-%m-%dT%H:%M:%SZ}",
            "next_close": f"{next_close:%Y-%m-%dT%H:%M:%SZ}",
        }
    )


def next_changes(now: datetime, *, is_open: bool) -> tuple[datetime, datetime]:
    """When the markets open and close next, by the calendar: one day ends where the next begins.

    Somebody may open or close a market at any other time, and nobody knows when: an open one has until midnight, a
    closed one's day begins then.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    return midnight, midnight if is_open else midnight + _DAY
