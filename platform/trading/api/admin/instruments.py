"""Instruments: listed, changed in what may change, and moved through the day: opened, halted, resumed, closed."""

from __future__ import annotations

from math import gcd
from typing import Annotated, Any, Final

from asyncpg import Record
from fastapi import Response
from pydantic import Field

from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import execute, turn
from trading.api.admin.requests import Body, Micros, Positive, SymbolPath, SymbolText, Text
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.api.errors import ApiError
from trading.core.commands import ChangeInstrument, ChangePhase, ListInstrument
from trading.core.orders import MICROS_PER_SHARE, NS_PER_S, PPM, Instrument, Phase, Symbol
from trading.wire.orders import decimal_text, shares_text

routes = router()

_ALL: Final = "SELECT i.*, m.phase FROM instruments i JOIN markets m USING (symbol)"
_ONE: Final = f"{_ALL} WHERE symbol = $1"
# Below a dollar prices move by a hundredth of a cent (Regulation NMS, rule 612).
_FINEST_TICK_MICROS: Final = 100

_Share = Annotated[Micros, Field(ge=0, le=PPM)]  # as a part of one: "0.1" is ten percent
_Seconds = Annotated[float, Field(ge=0, le=10**6)]


class ListingBody(Body):
    """Terms that are not given are those of a liquid stock; a listing begins closed."""

    symbol: SymbolText
    reference_price: Positive
    tick: Positive = 10_000
    sub_dollar_tick: Positive | None = None
    lot: Positive = MICROS_PER_SHARE
    collar: _Share = 200_000
    band: _Share = 100_000
    halt_s: _Seconds = 5.0
    tradable: bool = True
    shortable: bool = False
    fractionable: bool = False

    @property
    def terms(self) -> Instrument:
        sub_dollar = self.sub_dollar_tick or gcd(self.tick, _FINEST_TICK_MICROS)
        prices = (self.tick, sub_dollar, self.lot, self.reference_price)
        bounds = (self.collar, self.band, int(self.halt_s * NS_PER_S))
        return Instrument(Symbol(self.symbol), *prices, *bounds, self.tradable, self.shortable, self.fractionable)


class TermsBody(Body):
    """What is not given stays."""

    collar: _Share | None = None
    band: _Share | None = None
    halt_s: _Seconds | None = None
    tradable: bool | None = None
    shortable: bool | None = None
    fractionable: bool | None = None

    def on(self, terms: Instrument) -> Instrument:
        given = {
            "collar_ppm": self.collar,
            "band_ppm": self.band,
            "halt_ns": None if self.halt_s is None else int(self.halt_s * NS_PER_S),
            **{name: getattr(self, name) for name in ("tradable", "shortable", "fractionable")},
        }
        return terms._replace(**{name: value for name, value in given.items() if value is not None})


class PhaseBody(Body):
    """``continuous`` opens a market, or resumes it after a halt, by an auction."""

    phase: Annotated[Phase, Field(strict=False)]
    reason: Text


@routes.get("/instruments")
async def list_instruments(shared: ContextOf) -> Response:
    return answer([_shown(row) for row in await shared.database.fetch(f"{_ALL} ORDER BY symbol")])


@routes.post("/instruments")
async def list_instrument(body: ListingBody, shared: ContextOf, change: ChangeOf) -> Response:
    terms = body.terms
    before = await _find(terms.symbol, shared)
    change.before = before and _shown(before)

    async def listed_so() -> bool:
        row = None if before else await _find(terms.symbol, shared)
        return row is not None and _terms(row) == terms

    await execute(ListInstrument(0, terms), shared, reached=listed_so)
    change.after = _shown(await _known(terms.symbol, shared))
    return answer(change.after, 201)


@routes.patch("/instruments/{symbol}")
async def change_instrument(body: TermsBody, symbol: SymbolPath, shared: ContextOf, change: ChangeOf) -> Response:
    async with turn(f"instrument {symbol}", shared):
        row = await _known(symbol, shared)
        change.before, wanted = _shown(row), body.on(_terms(row))

        async def changed_so() -> bool:
            return _terms(await _known(symbol, shared)) == wanted

        await execute(ChangeInstrument(0, wanted), shared, reached=changed_so)
        change.after = _shown(await _known(symbol, shared))
    return answer(change.after)


@routes.put("/instruments/{symbol}/phase")
async def change_phase(body: PhaseBody, symbol: SymbolPath, shared: ContextOf, change: ChangeOf) -> Response:
    change.before = {"phase": (await _known(symbol, shared))["phase"]}

    async def in_phase() -> bool:
        return Phase((await _known(symbol, shared))["phase"]) is body.phase

    await execute(ChangePhase(0, Symbol(symbol), body.phase), shared, reached=in_phase)
    change.after = {"phase": body.phase, "reason": body.reason}
    return answer(_shown(await _known(symbol, shared)))


async def _known(symbol: str, shared: Context) -> Record:
    """Raises ApiError (404)."""
    row = await _find(symbol, shared)
    if row is None:
        raise ApiError(404, f"{symbol} is not listed")
    return row


async def _find(symbol: str, shared: Context) -> Record | None:
    rows = await shared.database.fetch(_ONE, symbol)
    return rows[0] if rows else None


def _terms(row: Record) -> Instrument:
    return Instrument(**{name: row[name] for name in Instrument._fields})


def _shown(row: Record) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "phase": row["phase"],
        "reference_price": decimal_text(row["reference_price_micros"]),
        "tick": decimal_text(row["tick_micros"]),
        "sub_dollar_tick": decimal_text(row["sub_dollar_tick_micros"]),
        "lot": shares_text(row["lot"]),
        "collar": shares_text(row["collar_ppm"]),
        "band": shares_text(row["band_ppm"]),
        "halt_s": row["halt_ns"] / NS_PER_S,
        **{name: row[name] for name in ("tradable", "shortable", "fractionable")},
    }
