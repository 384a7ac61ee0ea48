"""Listing and changing instruments; ticks above and below a dollar; lots."""

from __future__ import annotations

from typing import Any

import pytest

from trading.core.commands import ChangeInstrument, ListInstrument
from trading.core.events import InstrumentChanged, InstrumentListed
from trading.core.orders import Instrument, Phase, RejectReason, Symbol

from .floor import AAA, ANN, BBB, BUY, LISTED, SELL, Floor, dollars, shares

NEW = LISTED[0]._replace(symbol=Symbol("NEW"))


def test_a_listed_instrument_is_closed_and_priced_at_its_reference(floor: Floor) -> None:
    assert floor.accepted(ListInstrument(0, NEW)) == [InstrumentListed(NEW)]
    assert floor.exchange.phase(NEW.symbol) is Phase.CLOSED
    assert floor.mark(NEW.symbol) == 10
    assert floor.exchange.symbols() == [AAA, BBB, NEW.symbol]


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbol": ""},
        {"symbol": "USD"},
        {"symbol": "A B"},
        {"symbol": "É"},
        {"symbol": "A" * 17},
        {"tick_micros": 0},
        {"tick_micros": 30_000},
        {"sub_dollar_tick_micros": 0},
        {"sub_dollar_tick_micros": 300},
        {"lot": 0},
        {"lot": 1},
        {"lot": 10**15 + 10**6},
        {"reference_price_micros": 0},
        {"reference_price_micros": 10_000_001},
        {"reference_price_micros": 10**12 + 10**4},
        {"collar_ppm": 0},
        {"collar_ppm": 10**6 + 1},
        {"band_ppm": -1},
        {"band_ppm": 10**6 + 1},
        {"halt_ns": -1},
        {"halt_ns": 10**15 + 1},
        {"lot": 10**400},
        {"tick_micros": -(10**400)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_impossible_settings_are_refused(floor: Floor, wrong: dict[str, Any]) -> None:
    assert floor.why_refused(ListInstrument(0, NEW._replace(**wrong))) is RejectReason.INVALID_SETTING
    assert floor.why_refused(ListInstrument(0, LISTED[0]._replace(**wrong))) is RejectReason.INVALID_SETTING


def test_an_instrument_is_listed_once(floor: Floor) -> None:
    assert floor.why_refused(ListInstrument(0, LISTED[0])) is RejectReason.ALREADY_EXISTS


def test_some_terms_can_be_changed_and_some_cannot(floor: Floor) -> None:
    wider = LISTED[0]._replace(collar_ppm=600_000, shortable=False)
    assert floor.accepted(ChangeInstrument(0, wider)) == [InstrumentChanged(wider)]
    assert floor.why_refused(ChangeInstrument(0, wider)) is RejectReason.NOTHING_TO_CHANGE
    assert floor.why_refused(ChangeInstrument(0, NEW)) is RejectReason.UNKNOWN_SYMBOL
    fixed: list[Instrument] = [
        wider._replace(tick_micros=20_000),
        wider._replace(sub_dollar_tick_micros=1_000),
        wider._replace(lot=shares(2)),
        wider._replace(reference_price_micros=dollars(11)),
        wider._replace(band_ppm=10**400),
    ]
    for instrument in fixed:
        assert floor.why_refused(ChangeInstrument(0, instrument)) is RejectReason.INVALID_SETTING


@pytest.mark.parametrize(("price", "fits"), [(9.99, True), (9.995, False), (1, True), (0.9999, True), (0.99995, False)])
def test_prices_below_a_dollar_have_finer_ticks(floor: Floor, price: float, fits: bool) -> None:
    command = floor.order(ANN, BUY, 1, price)
    if fits:
        floor.accepted(command)
    else:
        assert floor.why_refused(command) is RejectReason.INVALID_PRICE


@pytest.mark.parametrize("price", [0, -1, 10**12 + 10_000, 10**400])
def test_a_price_is_within_bounds(floor: Floor, price: int) -> None:
    command = floor.order(ANN, SELL, 1, 10)._replace(limit_price_micros=price)
    assert floor.why_refused(command) is RejectReason.INVALID_PRICE


def test_a_change_of_the_collar_holds_from_the_next_order_on(floor: Floor) -> None:
    floor.buy(ANN, 1, 15)
    floor.instrument(collar_ppm=100_000)
    assert floor.why_refused(floor.order(ANN, BUY, 1, 11.01)) is RejectReason.PRICE_OUTSIDE_COLLAR
    assert floor.bids() == [(15, 1)]


def test_the_collars_edge_is_rounded_towards_the_mark(floor: Floor) -> None:
    """At 9.99 a collar of 0.1 % reaches 0.00999: from 9.98001 to 9.99999, on tick 9.99 and 9.99."""
    floor.trade_at(9.99)
    floor.instrument(collar_ppm=1_000)
    assert floor.why_refused(floor.order(ANN, BUY, 1, 10)) is RejectReason.PRICE_OUTSIDE_COLLAR
    assert floor.why_refused(floor.order(ANN, SELL, 1, 9.98)) is RejectReason.PRICE_OUTSIDE_COLLAR
    floor.buy(ANN, 1, 9.99)
