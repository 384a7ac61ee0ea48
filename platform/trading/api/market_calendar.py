"""/v2/calendar: every day is a trading day from midnight to midnight UTC, and settles at once."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from trading.api.errors import WRONG_PARAMETER, ApiError

router = APIRouter(prefix="/v2")

# The days Alpaca's calendar knows.
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2029, 12, 31)
# Alpaca's clients read "%H:%M", which cannot say the end of a day.
_HOURS: Final = {"open": "00:00", "close": "23:59", "session_open": "0000", "session_close": "2359"}


class CalendarRequest(BaseModel):
    """Query of GET /v2/calendar. Trades settle the day they are made, so both kinds of date are the same."""

    model_config = ConfigDict(extra="forbid")

    start: date = _FIRST
    end: date = _LAST
    date_type: Literal["TRADING", "SETTLEMENT"] = "TRADING"


@router.get("/calendar")
async def get_calendar(query: Annotated[CalendarRequest, Query()]) -> Response:
    if query.start > query.end:
        raise ApiError(422, f"start {query.start} is after end {query.end}", code=WRONG_PARAMETER)
    first, last = max(query.start, _FIRST), min(query.end, _LAST)
    days = _days()[max(0, (first - _FIRST).days) : max(0, (last - _FIRST).days + 1)]
    return Response(b"[%b]" % b",".join(days), media_type="application/json")


@cache
def _days() -> list[bytes]:
    """Each day of the calendar in JSON: put together once, as nobody should wait for 60 years of it."""
    days = (str(_FIRST + timedelta(days=n)) for n in range((_LAST - _FIRST).days + 1))
    return [msgspec.json.encode({"date": day, **_HOURS, "settlement_date": day}) for day in days]
