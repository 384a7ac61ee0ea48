"""/v2/account/portfolio/history: what an account was worth, step by step."""

from __future__ import annotations

import time
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from trading.api.activity_shapes import ALPACAS_KINDS
from trading.api.answer import answer
from trading.api.context import Caller, ContextOf
from trading.api.equity import Book, equities, read_book
from trading.api.errors import WRONG_PARAMETER, ApiError
from trading.core.events import CASH
from trading.core.orders import MICROS_PER_DOLLAR, NS_PER_S
from trading.infra.database import Pool
from trading.wire.market_data import DAY_NS

router = APIRouter(prefix="/v2")

MAX_POINTS: Final = 10_080  # a week of minutes
_MINUTE_NS: Final = 60 * NS_PER_S
_STEPS_NS: Final = {
    "1Min": _MINUTE_NS,
    "5Min": 5 * _MINUTE_NS,
    "15Min": 15 * _MINUTE_NS,
    "1H": 60 * _MINUTE_NS,
    "1D": DAY_NS,
}
_DAYS_OF_UNIT: Final = {"D": 1, "W": 7}
_MONTHS_OF_UNIT: Final = {"M": 1, "A": 12}
_MAX_INTRADAY_NS: Final = 31 * DAY_NS
_STILL_RUNNING_NS: Final = 2**62
_DEFAULT_PERIOD: Final = "1M"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR: Final = 2200  # which nanoseconds still fit into what stores them
_LATEST_NS: Final = (datetime(_LAST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH).days * DAY_NS


class HistoryRequest(BaseModel):
    """Query of GET /v2/account/portfolio/history. A period counts whole days, the last one included.

    Markets here have no hours: ``intraday_reporting`` and ``extended_hours`` are understood and change nothing.
    """

    model_config = ConfigDict(extra="forbid")

    period: Annotated[str | None, Field(pattern=r"^[1-9][0-9]{0,3}[DWMA]$")] = None
    timeframe: Literal["1Min", "5Min", "15Min", "1H", "1D"] | None = None
    start: datetime | None = None
    end: datetime | None = None
    date_end: date | None = None
    pnl_reset: Literal["per_day", "no_reset"] = "per_day"
    intraday_reporting: Literal["market_hours", "extended_hours", "continuous"] = "market_hours"
    extended_hours: bool = False
    cashflow_types: Annotated[str, Field(max_length=512)] = "NONE"


class Steps(NamedTuple):
    """Windows of ``step_ns`` from ``first_ns`` on; the last one ends at ``end_ns`` or is still running then."""

    timeframe: str
    first_ns: int
    end_ns: int

    @property
    def step_ns(self) -> int:
        return _STEPS_NS[self.timeframe]

    @property
    def starts(self) -> range:
        return range(self.first_ns, self.end_ns, self.step_ns)


@router.get("/account/portfolio/history")
async def get_portfolio_history(
    query: Annotated[HistoryRequest, Query()], account_id: Caller, shared: ContextOf
) -> Response:
    """``equity`` is that at the end of each window, and now in one that still runs; ``timestamp`` is its beginning.

    ``profit_loss`` counts from ``base_value``: the equity at the midnight before the first window, or the first there
    is when that was nothing. In windows shorter than a day it counts from each midnight anew, unless ``no_reset``.
    """
    now_ns = time.time_ns()
    steps, kinds = steps_of(query, now_ns), _cashflow_kinds(query.cashflow_types)
    midnight_ns = steps.first_ns // DAY_NS * DAY_NS
    end_ns = _STILL_RUNNING_NS if steps.end_ns == now_ns else steps.end_ns
    moments = sorted({midnight_ns, *steps.starts, end_ns})

    async def read(database: Pool) -> tuple[Book, list[int]]:
        book = await read_book(account_id, moments, database)
        return book, await equities(book, moments, now_ns, database)

    book, values = await shared.history.run(read)
    shown = len(steps.starts)
    base, base_at = _base(values[0], values[-shown:], moments[0], steps)
    by_day = query.pnl_reset == "per_day" and steps.timeframe != "1D"
    bases = _daily_bases(moments, values, steps) if by_day else _bases(base, values[0], values[-shown:])
    profits = [value - before for value, before in zip(values[-shown:], bases, strict=True)]
    asof = {} if base_at is None else {"base_value_asof": base_at}
    return answer(
        {
            "timestamp": [start_ns // NS_PER_S for start_ns in steps.starts],
            "equity": [_dollars(value) for value in values[-shown:]],
            "profit_loss": [_dollars(profit) for profit in profits],
            "profit_loss_pct": [
                profit / before if before else None for profit, before in zip(profits, bases, strict=True)
            ],
            "base_value": _dollars(base),
            **asof,
            "timeframe": steps.timeframe,
            "cashflow": _cashflow(book, kinds, len(moments) - 1 - shown, shown),
        }
    )


def steps_of(query: HistoryRequest, now_ns: int) -> Steps:
    """Raises ApiError for what cannot be meant or is too much for one answer."""
    ends = [end for end in (query.end, query.date_end) if end is not None]
    if len(ends) == 2 or (ends and query.start and query.period):
        raise ApiError(422, "only two of start, end (or date_end) and period", code=WRONG_PARAMETER)
    period = query.period or _DEFAULT_PERIOD
    end_ns = min(_end_ns(query, period, now_ns), now_ns)
    start_ns = _ns(query.start) if query.start else _moved(_next_midnight(end_ns), period, -1)
    if start_ns >= end_ns:
        raise ApiError(422, "start is not before end", code=WRONG_PARAMETER)
    length_ns = end_ns - start_ns
    timeframe = query.timeframe or _usual_timeframe(-(-length_ns // DAY_NS))
    if timeframe != "1D" and length_ns > _MAX_INTRADAY_NS:
        raise ApiError(422, f"timeframe {timeframe} goes with 30 days at most", code=WRONG_PARAMETER)
    step_ns = _STEPS_NS[timeframe]
    steps = Steps(timeframe, start_ns // step_ns * step_ns, end_ns)
    if len(steps.starts) > MAX_POINTS:
        message = f"{len(steps.starts)} points of {timeframe} are more than {MAX_POINTS}"
        raise ApiError(422, message, code=WRONG_PARAMETER)
    return steps


def _end_ns(query: HistoryRequest, period: str, now_ns: int) -> int:
    if query.end is not None:
        return _ns(query.end)
    if query.date_end is not None:
        return _ns(datetime.combine(query.date_end, clock_time())) + DAY_NS
    if query.start is not None and query.period is not None:
        return _moved(_ns(query.start), period, 1)
    return now_ns


def _usual_timeframe(days: int) -> str:
    """As Alpaca chooses."""
    if days < 7:
        return "1Min"
    return "15Min" if days < 30 else "1D"


def _moved(moment_ns: int, period: str, sign: int) -> int:
    """By whole days, or by months of the calendar; a day that the month does not have becomes its last."""
    count, unit = sign * int(period[:-1]), period[-1]
    if unit in _DAYS_OF_UNIT:
        return max(0, moment_ns + count * _DAYS_OF_UNIT[unit] * DAY_NS)
    moment = _EPOCH + timedelta(days=min(moment_ns, _LATEST_NS) // DAY_NS)
    year, month = divmod(moment.year * 12 + moment.month - 1 + count * _MONTHS_OF_UNIT[unit], 12)
    if year < _EPOCH.year:
        return 0
    if year >= _LAST_YEAR:
        return _LATEST_NS
    day = min(moment.day, monthrange(year, month + 1)[1])
    return _ns(datetime(year, month + 1, day)) + moment_ns % DAY_NS


def _next_midnight(moment_ns: int) -> int:
    """The end of the day of what is just before the moment."""
    return -(-moment_ns // DAY_NS) * DAY_NS


def _ns(moment: datetime) -> int:
    """Without an offset it is UTC; there is nothing before 1970."""
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return max(0, (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000)


def _base(opening: int, values: Sequence[int], midnight_ns: int, steps: Steps) -> tuple[int, str | None]:
    """What profit is counted from, and the day at whose end, or in whose course, the account was worth that."""
    if opening:
        return opening, _day(midnight_ns - 1)
    found = ((value, _day(start_ns)) for value, start_ns in zip(values, steps.starts, strict=True) if value)
    return next(found, (0, None))


def _bases(base: int, opening: int, values: Sequence[int]) -> list[int]:
    """For each window: nothing before there was anything."""
    first = 0 if opening else next((n for n, value in enumerate(values) if value), len(values))
    return [0] * first + [base] * (len(values) - first)


def _daily_bases(moments: Sequence[int], values: Sequence[int], steps: Steps) -> list[int]:
    """For each window the equity at its day's midnight, or the first of that day when that was nothing."""
    bases, firsts = [], dict(zip(moments, values, strict=True))
    for start_ns in steps.starts:
        midnight_ns = start_ns // DAY_NS * DAY_NS
        if not firsts[midnight_ns]:
            end = bisect_right(moments, start_ns)
            firsts[midnight_ns] = values[end]
        bases.append(firsts[midnight_ns])
    return bases


def _cashflow_kinds(asked: str) -> frozenset[str]:
    """``ALL``, ``NONE``, or types of activities separated by commas."""
    if asked == "ALL":
        return ALPACAS_KINDS - {"FILL"}
    kinds = frozenset() if asked == "NONE" else frozenset(asked.split(","))
    if unknown := kinds - ALPACAS_KINDS:
        raise ApiError(422, f"cashflow_types: invalid activity type: {min(unknown)[:64]}", code=WRONG_PARAMETER)
    return kinds - {"FILL"}


def _cashflow(book: Book, kinds: frozenset[str], skipped: int, shown: int) -> dict[str, list[float]]:
    """Cash that came in or went in each window, for every kind of which there was any."""
    flows: dict[str, list[float]] = {}
    for movement in book.movements:
        window = movement.bucket - 1 - skipped
        if movement.kind in kinds and movement.asset == CASH and 0 <= window < shown:
            flows.setdefault(movement.kind, [0.0] * shown)[window] = _dollars(movement.amount)
    return flows


def _day(moment_ns: int) -> str:
    return f"{_EPOCH + timedelta(days=moment_ns // DAY_NS):%Y-%m-%d}"


def _dollars(micros: int) -> float:
    return micros / MICROS_PER_DOLLAR
