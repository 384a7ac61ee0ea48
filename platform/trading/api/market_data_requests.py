"""What may be asked of /v2/stocks: symbols, a window of time, a timeframe, and a page's token.

https://docs.alpaca.markets/reference/stockbars. Where Alpaca asks who pays for which feed, here all are the one market.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from trading.api.errors import ApiError
from trading.core.orders import NS_PER_S
from trading.wire.market_data import DAY_NS, MINUTE_NS

MAX_NS: Final = 2**63 - 1
MAX_LIMIT: Final = 10_000
MAX_SYMBOLS: Final = 100

_SYMBOL: Final = r"[A-Z][A-Z0-9.]{0,15}"
_SYMBOLS: Final = rf"^{_SYMBOL}(,{_SYMBOL}){{0,{MAX_SYMBOLS - 1}}}$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)

SymbolInPath = Annotated[str, Path(pattern=f"^{_SYMBOL}$")]


# -- times -------------------------------------------------------------------------------------------


def moment_ns(text: object) -> object:
    """RFC 3339 with up to nanoseconds, or a date, which is its midnight; without an offset it is UTC."""
    if not isinstance(text, str):
        return text
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("expected RFC 3339 or YYYY-MM-DD, as in 2024-01-31T14:30:00Z")
    day, time, fraction, offset = match.groups()
    offset = "+00:00" if offset in (None, "Z", "z") else offset
    whole = (datetime.fromisoformat(f"{day}T{time or '00:00:00'}{offset}") - _EPOCH) // timedelta(seconds=1)
    return max(0, min(MAX_NS, whole * NS_PER_S + int((fraction or "0").ljust(9, "0"))))


_MOMENT_SCHEMA: Final = {"type": "string", "format": "date-time", "description": "RFC 3339, or YYYY-MM-DD"}
Moment = Annotated[int, BeforeValidator(moment_ns), WithJsonSchema(_MOMENT_SCHEMA)]


class Unit(StrEnum):
    DAY = "day"  # parts of a day, counted from its midnight in UTC
    WEEK = "week"  # from its Monday
    MONTH = "month"  # months of a year, counted from January


@dataclass(frozen=True, slots=True)
class Timeframe:
    """``width`` is in ns, of months a number of them; no bar holds more than ``most_minutes``."""

    unit: Unit
    width: int

    @property
    def longest_ns(self) -> int:
        return self.width * 31 * DAY_NS if self.unit is Unit.MONTH else self.width

    @property
    def most_minutes(self) -> int:
        return self.longest_ns // MINUTE_NS


MINUTE: Final = Timeframe(Unit.DAY, MINUTE_NS)
DAY: Final = Timeframe(Unit.DAY, DAY_NS)

_TIMEFRAME: Final = (
    r"^(([1-9]|[1-5][0-9])(Min|T)|([1-9]|1[0-9]|2[0-3])(Hour|H)|1(Day|D)|1(Week|W)|(1|2|3|4|6|12)(Month|M))$"
)


def timeframe_of(text: str) -> Timeframe:
    """``text`` is one that ``_TIMEFRAME`` allows."""
    number = re.match(r"\d+", text)
    assert number is not None
    amount, unit = int(number[0]), text[number.end()]
    if unit == "M" and not text.endswith("Min"):
        return Timeframe(Unit.MONTH, amount)
    if unit == "W":
        return Timeframe(Unit.WEEK, 7 * DAY_NS)
    return Timeframe(Unit.DAY, amount * {"M": MINUTE_NS, "T": MINUTE_NS, "H": 60 * MINUTE_NS, "D": DAY_NS}[unit])


# -- pages -------------------------------------------------------------------------------------------


Cursor = tuple[int, int]  # a row's place among its symbol's


class PageToken(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page. ``start_ns`` is where its request began: tomorrow's default is another."""

    symbol: str
    cursor: Cursor
    start_ns: int

    def text(self) -> str:
        return urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")


def _token(text: str) -> PageToken:
    """Raises ApiError for what no answer of ours had in it."""
    try:
        token = _decode_token(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.MsgspecError):
        raise ApiError(400, "invalid page_token") from None
    if any(abs(number) > MAX_NS for number in (*token.cursor, token.start_ns)):
        raise ApiError(400, "invalid page_token")
    return token


_decode_token: Final = msgspec.msgpack.Decoder(PageToken).decode


# -- requests ----------------------------------------------------------------------------------------


class LatestOf(BaseModel):
    """Query of the latest of one symbol, named in the path."""

    model_config = ConfigDict(extra="forbid")

    feed: Literal["iex", "sip", "delayed_sip", "otc", "boats", "overnight"] | None = None
    currency: Literal["USD"] = "USD"


class SeriesOf(LatestOf):
    """Query of one symbol's series. Its window has both ends in it and begins today, in UTC, unless told otherwise."""

    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 1_000
    sort: Literal["asc", "desc"] = "asc"
    asof: Annotated[str | None, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|-)$")] = None
    page_token: Annotated[str | None, Field(max_length=200, pattern=r"^[A-Za-z0-9_\-]+$")] = None

    def token(self) -> PageToken | None:
        return None if self.page_token is None else _token(self.page_token)


class BarsOf(SeriesOf):
    timeframe: Annotated[str, Field(pattern=_TIMEFRAME)]
    adjustment: Literal["raw", "split", "dividend", "spin-off", "all"] = "raw"  # nothing here is ever adjusted


class _OfSymbols(BaseModel):
    symbols: Annotated[str, Field(pattern=_SYMBOLS)]

    def asked(self) -> list[str]:
        return sorted(set(self.symbols.split(",")))


class Latest(LatestOf, _OfSymbols):
    """Query of the latest of several symbols."""


class Series(SeriesOf, _OfSymbols):
    """Query of the series of several symbols: one after the other, in the order of the alphabet."""


class Bars(BarsOf, _OfSymbols):
    """Query of the bars of several symbols."""
