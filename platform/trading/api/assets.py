"""/v2/assets: what is listed, and on which terms it is traded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

import asyncpg
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from trading.api.answer import answer
from trading.api.context import ContextOf
from trading.api.errors import ApiError
from trading.infra.database import Pool
from trading.wire.orders import EXCHANGE, asset_uuid, decimal_text, shares_text

router = APIRouter(prefix="/v2")

ASSET_CLASS: Final = "us_equity"
_MAX_NAME: Final = 36  # a UUID; symbols are shorter
_FINEST_SHARE: Final = 1  # micro-share

_ALL: Final = "SELECT symbol, tick_micros, lot, tradable, shortable, fractionable FROM instruments ORDER BY symbol"
_SOME: Final = """
SELECT symbol, tick_micros, lot, tradable, shortable, fractionable FROM instruments WHERE symbol = ANY($1)
"""
_SYMBOLS: Final = "SELECT symbol FROM instruments"


class AssetsRequest(BaseModel):
    """Query of GET /v2/assets. Nothing listed here is ever inactive, of another class, or has attributes."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["active", "inactive", "all"] = "all"
    asset_class: Literal["us_equity", "us_option", "crypto", "crypto_perp"] = "us_equity"
    exchange: Annotated[str | None, Field(max_length=16)] = None
    attributes: Annotated[str | None, Field(max_length=256)] = None

    @property
    def matches_ours(self) -> bool:
        return (
            self.status != "inactive"
            and self.asset_class == ASSET_CLASS
            and self.exchange in (None, EXCHANGE)
            and not self.attributes
        )


@router.get("/assets")
async def list_assets(query: Annotated[AssetsRequest, Query()], shared: ContextOf) -> Response:
    rows = await shared.database.fetch(_ALL) if query.matches_ours else []
    return answer([public_asset(row) for row in rows])


@router.get("/assets/{symbol_or_asset_id}")
async def get_asset(symbol_or_asset_id: str, shared: ContextOf) -> Response:
    symbol = await _symbol_of(symbol_or_asset_id, shared.database)
    (asset,) = await assets_of([symbol], shared.database)
    return answer(asset)


async def assets_of(symbols: Iterable[str], database: Pool) -> list[dict[str, Any]]:
    """Public assets in the order of ``symbols``. Raises ApiError 404 for a symbol that is not listed."""
    asked = list(symbols)
    known = {row["symbol"]: row for row in await database.fetch(_SOME, [s for s in asked if _is_text(s)])}
    missing = next((symbol for symbol in asked if symbol not in known), None)
    if missing is not None:
        raise ApiError(404, f"asset not found for {missing[:_MAX_NAME]}")
    return [public_asset(known[symbol]) for symbol in asked]


async def _symbol_of(symbol_or_asset_id: str, database: Pool) -> str:
    """Ids are made from symbols, not the other way: one is found by making all of them."""
    if len(symbol_or_asset_id) < _MAX_NAME:
        return symbol_or_asset_id
    wanted = symbol_or_asset_id.lower()
    symbols = (str(row["symbol"]) for row in await database.fetch(_SYMBOLS))
    return next((symbol for symbol in symbols if str(asset_uuid(symbol)) == wanted), symbol_or_asset_id)


def _is_text(symbol: str) -> bool:
    """Not every string is text to PostgreSQL, but every symbol is."""
    return symbol.isascii() and symbol.isprintable()


def public_asset(row: asyncpg.Record) -> dict[str, Any]:
    step = shares_text(_FINEST_SHARE if row["fractionable"] else row["lot"])
    return {
        "id": str(asset_uuid(row["symbol"])),
        "class": ASSET_CLASS,
        "exchange": EXCHANGE,
        "symbol": row["symbol"],
        "name": row["symbol"],
        "status": "active",
        "tradable": row["tradable"],
        "marginable": True,
        "maintenance_margin_requirement": 0,
        "margin_requirement_long": "0",
        "margin_requirement_short": "0",
        "shortable": row["shortable"],
        "easy_to_borrow": row["shortable"],
        "fractionable": row["fractionable"],
        "attributes": [],
        "min_order_size": step,
        "min_trade_increment": step,
        "price_increment": decimal_text(row["tick_micros"]),
    }
