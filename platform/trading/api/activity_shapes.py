"""An activity as Alpaca's clients expect it, and the id that says where it has its place.

The id is the time to the millisecond and a UUID of version 8 (RFC 9562 section 5.8) that carries the place itself.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from trading.core.events import CASH
from trading.wire.orders import decimal_text, order_uuid, rfc3339, shares_text

# What happens here, and what Alpaca knows besides: asking for that is no mistake, but there is none.
KINDS: Final = frozenset({"FILL", "CSD", "CSW", "JNLC", "JNLS", "ACATS", "FEE"})
ALPACAS_KINDS: Final = KINDS | {
    *("ACATC", "CFEE", "CIL", "DIV", "DIVCGL", "DIVCGS", "DIVFEE", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX"),
    *("DIVWH", "EXTRD", "FXTRD", "INT", "INTNRA", "INTPNL", "INTTW", "JNL", "MA", "MEM", "MISC", "NC", "OCT", "OPASN"),
    *("OPCA", "OPCSH", "OPEXC", "OPEXP", "OPTRD", "OPXRC", "PTC", "PTR", "REORG", "SC", "SPIN", "SPLIT", "SSO", "SSP"),
    *("SWP", "TRANS", "VOF", "WH"),
}
_DESCRIPTIONS: Final = {
    "CSD": "cash deposited",
    "CSW": "cash withdrawn",
    "ACATS": "shares brought in or taken out",
    "JNLC": "cash journaled between accounts",
    "JNLS": "shares journaled between accounts",
    "FEE": "fees and charges of an order's trades",
}
_ID: Final = re.compile(r"\d{17}::([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)
_VERSION_AND_VARIANT: Final = (8 << 76) | (2 << 62)


class Place(NamedTuple):
    """Where an activity is in the order of all: its record, what kind of thing it is, and its number among them."""

    sequence: int
    source: int
    number: int


def activity_id(place: Place, at_ns: int) -> str:
    time = re.sub(r"\D", "", rfc3339(at_ns)[:23])
    return f"{time}::{UUID(int=_VERSION_AND_VARIANT | place.sequence << 80 | place.source << 64 | place.number)}"


def place_of(activity_id: str) -> Place | None:
    """None when the text is no id that this platform gave out."""
    found = _ID.fullmatch(activity_id)
    if found is None:
        return None
    value = UUID(found[1]).int
    place = Place(value >> 80, value >> 64 & 0xFFF, value & 2**62 - 1)
    expected = _VERSION_AND_VARIANT | place.sequence << 80 | place.source << 64 | place.number
    return place if value == expected and place.source < 4 else None


def trade_activity(row: asyncpg.Record, *, filled: int, leaves: int) -> dict[str, Any]:
    """``filled`` and ``leaves`` are the order's after this trade, in micro-shares."""
    place = Place(row["sequence"], row["source"], row["number"])
    return {
        "id": activity_id(place, row["happened_ns"]),
        "activity_type": "FILL",
        "transaction_time": rfc3339(row["happened_ns"]),
        "type": "partial_fill" if leaves else "fill",
        "price": decimal_text(row["price_micros"]),
        "qty": shares_text(row["amount"]),
        "side": row["side"],
        "symbol": row["asset"],
        "leaves_qty": shares_text(leaves),
        "cum_qty": shares_text(filled),
        "order_id": order_uuid(row["order_id"]),
        "order_status": "partially_filled" if leaves else "filled",
    }


def payment_activity(row: asyncpg.Record) -> dict[str, Any]:
    """Amounts below zero were taken from the account. Shares have no ``net_amount``."""
    place, asset, amount = Place(row["sequence"], row["source"], row["number"]), row["asset"], row["amount"]
    of_shares = {} if asset == CASH else {"symbol": asset, "qty": shares_text(amount)}
    return {
        "id": activity_id(place, row["happened_ns"]),
        "activity_type": row["kind"],
        "date": rfc3339(row["happened_ns"])[:10],
        "created_at": rfc3339(row["happened_ns"]),
        "net_amount": decimal_text(amount) if asset == CASH else "0",
        "description": _DESCRIPTIONS[row["kind"]],
        "status": "executed",
        **of_shares,
    }
