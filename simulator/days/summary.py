"""What a day came to, in one document: counts, books, halts, and what each kind of trader gained."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from simulator.days.simulation import Books, Simulation
from trading.core.events import CASH
from trading.core.orders import MICROS_PER_DOLLAR, MICROS_PER_SHARE
from trading.core.state import state_of

SUMMARY: Final = "summary.json"


def summarize(name: str, simulation: Simulation, books: Books) -> dict[str, Any]:
    """Of a closed simulation. The same day and seed give the same document."""
    market = simulation.marketplace
    desks = market.desks
    return {
        "day": name,
        "seed": simulation.seed,
        "title": simulation.day.title,
        "symbols": {
            symbol: {
                "first_price_micros": listing.instrument.reference_price_micros,
                "last_price_micros": listing.last_micros,
                "shares_traded": listing.volume // MICROS_PER_SHARE,
                "volatility_halts": listing.halts,
                "tick_micros": listing.tick_micros,
            }
            for symbol, listing in market.listings.items()
        },
        "rows": dict(simulation.recorder.counts),
        "messages": {
            "wakes": sum(desk.wakes for desk in desks),
            "requests": sum(desk.requests for desk in desks),
            "answers": sum(desk.answers for desk in desks),
        },
        "refusals": {str(reason): count for reason, count in sorted(market.refusals.items())},
        "out_of_money": [desk.name for desk in desks if desk.retired],
        "books": {
            "balance": books.balance,
            "brought_cash_micros": books.brought_cash,
            "held_cash_micros": books.held_cash,
            "fees_micros": books.fees,
            "profit_of_all_traders_micros": books.profit,
            "brought_shares_micros": books.brought_shares,
            "held_shares_micros": books.held_shares,
        },
        "profit_by_kind_dollars": _profits(simulation),
        "state_hash": state_of(market.exchange).hash(),
    }


def _profits(simulation: Simulation) -> dict[str, float]:
    """At the last price, against what each brought at the same price."""
    exchange = simulation.marketplace.exchange
    totals: dict[str, int] = defaultdict(int)
    for desk in simulation.marketplace.desks:
        cash = sum(exchange.balance(desk.account_id, CASH)) - desk.cash_micros
        shares = sum(exchange.balance(desk.account_id, desk.listing.symbol)) - desk.shares_micros
        totals[desk.kind] += cash + shares * desk.listing.last_micros // MICROS_PER_SHARE
    return {kind: round(total / MICROS_PER_DOLLAR, 2) for kind, total in sorted(totals.items())}


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def read_summary(folder: Path) -> dict[str, Any]:
    """Raises OSError or ValueError for what is no record of a day."""
    document = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("symbols"), dict):
        raise ValueError(f"{folder / SUMMARY} is no summary of a day")
    return document
