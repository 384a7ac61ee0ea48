"""What clients ask for, checked before anything is done, and Alpaca's codes for what they may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from trading.feed.bars import BARS, DAILY_BARS, UPDATED_BARS
from trading.feed.frames import Format
from trading.feed.market_view import ORDERBOOKS, QUOTES, STATUSES, TRADES

CHANNELS: Final = (TRADES, QUOTES, BARS, UPDATED_BARS, DAILY_BARS, STATUSES, ORDERBOOKS)
EVERY: Final = "*"  # symbol
TRADE_UPDATES: Final = "trade_updates"

# Alpaca's, of which this market has nothing to say: trades stand, and price bands halt instead of moving.
_NOT_OFFERED: Final = frozenset({"lulds", "news", "imbalances", "corrections", "cancelErrors"})
_LAST_SEQUENCE: Final = 2**62


class RequestError(Exception):
    """A request that is refused, with Alpaca's code for why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


INVALID_SYNTAX: Final = (400, "invalid syntax")
NOT_AUTHENTICATED: Final = (401, "not authenticated")
AUTH_FAILED: Final = (402, "auth failed")
ALREADY_AUTHENTICATED: Final = (403, "already authenticated")
AUTH_TIMEOUT: Final = (404, "auth timeout")
SYMBOL_LIMIT_EXCEEDED: Final = (405, "symbol limit exceeded")
CONNECTION_LIMIT_EXCEEDED: Final = (406, "connection limit exceeded")
SLOW_CLIENT: Final = (407, "slow client")
INSUFFICIENT_SUBSCRIPTION: Final = (409, "insufficient subscription")
INTERNAL_ERROR: Final = (500, "internal error")


class Credentials(NamedTuple):
    key_id: str
    secret: str


class Subscription(NamedTuple):
    symbols: dict[str, list[str]]  # by channel
    resume_from: dict[str, int]  # symbol -> the last sequence the client has


def parse(payload: str | bytes, form: Format) -> dict[str, Any]:
    """A request of whatever action. Raises RequestError."""
    try:
        if form is Format.MSGPACK and isinstance(payload, bytes):
            request = msgspec.msgpack.decode(payload)
        else:
            request = msgspec.json.decode(payload)
    except (ValueError, RecursionError, TypeError):  # TypeError: keys that no mapping can have
        request = None
    if not isinstance(request, dict) or not all(isinstance(name, str) for name in request):
        raise RequestError(*INVALID_SYNTAX)
    return request


def credentials(request: Mapping[str, Any]) -> Credentials | None:
    """Of either spelling: ``auth`` with key and secret, or ``authenticate`` with them in ``data``; None: no pair."""
    data = request
    names = ("key", "secret")
    if request["action"] == "authenticate":
        data, names = request.get("data") or {}, ("key_id", "secret_key")
    if not isinstance(data, dict):
        return None
    key_id, secret = (data.get(name) for name in names)
    return Credentials(key_id, secret) if isinstance(key_id, str) and isinstance(secret, str) else None


def subscription(request: Mapping[str, Any], known: Mapping[str, Any]) -> Subscription:
    """Raises RequestError for anything that is no channel, no symbol or no sequence; then none of it counts."""
    wanted: dict[str, list[str]] = {}
    for channel, symbols in request.items():
        if channel in _NOT_OFFERED and symbols:
            raise RequestError(INSUFFICIENT_SUBSCRIPTION[0], f"insufficient subscription: no {channel} here")
        if channel in CHANNELS:
            wanted[channel] = _symbols(channel, symbols, known)
        elif channel not in ("action", "resume_from", *_NOT_OFFERED):
            raise RequestError(400, f"invalid syntax: there is no channel {channel[:32]!r}")
    return Subscription(wanted, _resume_from(request.get("resume_from"), wanted.get(ORDERBOOKS, [])))


def streams(request: Mapping[str, Any]) -> list[str]:
    """What a ``listen`` names. Raises RequestError."""
    data = request.get("data")
    names = data.get("streams") if isinstance(data, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(400, "invalid syntax: listen takes data.streams")
    return names


def _symbols(channel: str, symbols: object, known: Mapping[str, Any]) -> list[str]:
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise RequestError(400, f"invalid syntax: {channel} takes a list of symbols")
    for symbol in symbols:
        if symbol != EVERY and symbol not in known:
            raise RequestError(400, f"invalid syntax: unknown symbol {symbol[:16]!r}")
    return list(dict.fromkeys(symbols))


def _resume_from(value: object, orderbooks: list[str]) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(400, "invalid syntax: resume_from takes sequences by symbol")
    for symbol, sequence in value.items():
        if symbol not in orderbooks and EVERY not in orderbooks:
            raise RequestError(400, "invalid syntax: resume_from is for symbols of orderbooks")
        if type(sequence) is not int or not 0 <= sequence <= _LAST_SEQUENCE:
            raise RequestError(400, "invalid syntax: resume_from takes sequences by symbol")
    return value
