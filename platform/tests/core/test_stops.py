"""Stops: elected by trades, in order, and again by the trades of those elected before; worked through by hand."""

from __future__ import annotations

import pytest

from trading.core.events import OrderTriggered, PhaseChanged, StopMoved
from trading.core.orders import CancelReason, Phase

from .floor import AAA, ANN, BOB, BUY, CAT, GTC, SELL, Floor, dollars


def test_a_stop_waits_out_of_the_book_until_a_trade_reaches_it(floor: Floor) -> None:
    stop = floor.sell(ANN, 10, stop=9.5)
    assert floor.asks() == []
    floor.trade_at(9.51)
    assert floor.leaves(stop) == 10
    floor.buy(CAT, 10, 9.4)
    floor.trade_at(9.5)
    assert floor.story()[-2:] == [("triggered", stop), ("traded", stop)]
    assert floor.last_fills()[-1][1] == 9.4


def test_stops_elect_each_other_down_a_thin_book(floor: Floor) -> None:
    """A cascade, as what CME's stop logic is there to slow down (https://definitions.uslegal.com/s/stop-logic-functionality/).

    Bids: 10 at 9.90, 10 at 9.80, 10 at 9.70, 10 at 9.60. Stops to sell 10 each: A at 9.90, B at 9.80, C at 9.85 and
    D at 9.50. Bob sells 10 at the market:

    1. He trades at 9.90. Elected: A (9.90).
    2. A sells at 9.80. Elected: B (9.80) and C (9.85), in the order of their ids: B, then C.
    3. B sells at 9.70: D, at 9.50, stays. C sells at 9.60: D stays again.
    """
    for price in (9.9, 9.8, 9.7, 9.6):
        floor.buy(CAT, 10, price)
    a, b, c = (floor.sell(ANN, 10, stop=stop) for stop in (9.9, 9.8, 9.85))
    d = floor.sell(ANN, 10, stop=9.5)
    first = floor.sell(BOB, 10)
    assert floor.story() == [
        ("traded", first),
        ("triggered", a),
        ("traded", a),
        ("triggered", b),
        ("traded", b),
        ("triggered", c),
        ("traded", c),
    ]
    assert [fill[1] for fill in floor.last_fills()] == [9.9, 9.8, 9.7, 9.6]
    assert floor.leaves(d) == 10
    assert floor.cash(ANN) == (10_000 + 98 + 97 + 96, 0)


def test_a_cascade_ends_in_a_halt_when_it_reaches_the_band(floor: Floor) -> None:
    """Reference $10, band 2 %: down to 9.80. Bids 10 at 9.80 and 10 at 9.75; stops to sell 10 at 9.80, twice.

    The trade at 9.80 elects both. The first meets the bid at 9.75, outside: the market halts and what is left of it, a
    market order, is canceled. The second is triggered in a halted market, so it rests, at the collar's edge: 50 % below
    its stop price, 4.90.
    """
    floor.instrument(band_ppm=20_000)
    floor.buy(CAT, 10, 9.8)
    floor.buy(CAT, 10, 9.75)
    first, second = floor.sell(ANN, 10, stop=9.8), floor.sell(ANN, 10, stop=9.8)
    floor.sell(BOB, 10, 9.8)
    assert floor.ended() == [(first, CancelReason.UNFILLED)]
    assert floor.story()[-2:] == [("triggered", second), ("rested", second)]
    assert [event.phase for event in floor.last_events() if isinstance(event, PhaseChanged)] == [Phase.HALTED]
    assert floor.asks() == [(4.9, 10)]


def test_a_stop_to_buy_is_elected_at_or_above_its_price(floor: Floor) -> None:
    stop = floor.buy(ANN, 10, stop=10.5)
    assert floor.cash(ANN) == (10_000 - 157.5, 157.5), "10 at the collar's edge from the stop: 15.75"
    floor.sell(BOB, 20, 10.5)
    floor.buy(CAT, 1, 10.5)
    assert floor.story()[-1] == ("traded", stop)
    assert floor.cash(ANN) == (10_000 - 105, 0)


def test_a_stop_limit_rests_at_its_limit_when_it_is_triggered(floor: Floor) -> None:
    stop = floor.sell(ANN, 10, 9.45, stop=9.5)
    floor.trade_at(9.5)
    assert floor.story()[-2:] == [("triggered", stop), ("rested", stop)]
    assert floor.asks() == [(9.45, 10)]


def test_an_order_is_not_elected_by_trades_before_its_acceptance(floor: Floor) -> None:
    floor.trade_at(9)
    stop = floor.sell(ANN, 10, stop=9.5)
    assert floor.leaves(stop) == 10
    floor.trade_at(9.4)
    assert ("triggered", stop) in floor.story()


@pytest.mark.parametrize(
    ("trail", "stops"),
    [({"trail": 0.5}, [9.5, 10.5, 11.5]), ({"trail_ppm": 100_000}, [9, 9.9, 10.8])],
    ids=["dollars", "percent"],
)
def test_a_trailing_stop_follows_the_market_up_and_never_down(
    floor: Floor, trail: dict[str, float], stops: list[float]
) -> None:
    """As in Binance's FAQ: triggered by a fall of the trail from the highest trade since it was accepted.

    https://github.com/binance-us/binance-us-api-docs/blob/master/faqs/trailing-stop-faq.md. From a mark of $10, 11 and
    12: half a dollar below is 9.50, 10.50, 11.50; a tenth below is 9.00, 9.90, 10.80. A trade at 11.90 moves nothing.
    """
    stop = floor.sell(ANN, 10, **trail)
    for price, expected in ((11, stops[1]), (12, stops[2])):
        floor.trade_at(price)
        assert floor.last_events()[-1] == StopMoved(stop, AAA, dollars(price), dollars(expected))
    floor.trade_at(11.9)
    assert not any(isinstance(event, StopMoved) for event in floor.last_events())
    floor.trade_at(stops[2])
    triggered = next(event for event in floor.last_events() if isinstance(event, OrderTriggered))
    assert triggered.stop_price_micros == dollars(stops[2])


def test_a_trailing_stop_to_buy_follows_the_market_down(floor: Floor) -> None:
    stop = floor.buy(ANN, 10, trail=0.5)
    floor.trade_at(9)
    assert floor.last_events()[-1] == StopMoved(stop, AAA, dollars(9), dollars(9.5))


def test_a_trail_between_two_ticks_is_rounded_away_from_the_market(floor: Floor) -> None:
    """Ten dollars less 0.505 are 9.495: a sale's stop goes down to 9.49, a buy's 10.505 up to 10.51."""
    sale, buy = floor.sell(ANN, 1, trail=0.505), floor.buy(BOB, 1, trail=0.505)
    stops = {row.order_id: row.stop_micros for row in floor_rows(floor)}
    assert stops == {sale: dollars(9.49), buy: dollars(10.51)}


def test_a_wider_collar_lets_a_stop_reach_no_further_than_its_reservation(floor: Floor) -> None:
    """Accepted with a collar of 20 % a stop to buy at 10 reserves at 12; widened to 50 % the edge would be 15."""
    floor.instrument(collar_ppm=200_000)
    stop = floor.buy(ANN, 10, stop=10)
    floor.instrument(collar_ppm=500_000)
    floor.sell(BOB, 10, 12.01)
    floor.trade_at(10)
    assert floor.story()[-2:] == [("triggered", stop), (f"canceled: {CancelReason.UNFILLED}", stop)]
    assert floor.cash(ANN) == (10_000, 0)


def test_a_triggered_stop_fills_once(floor: Floor) -> None:
    stop = floor.sell(ANN, 10, stop=9.5)
    floor.buy(CAT, 50, 9.5)
    floor.sell(BOB, 1, 9.5)
    assert floor.leaves(stop) is None
    floor.sell(BOB, 1, 9.5)
    assert [what for what, order_id in floor.story() if order_id == stop] == []
    assert floor.shares(ANN) == (990, 0)


def floor_rows(floor: Floor) -> tuple:  # type: ignore[type-arg]
    from trading.core.state import state_of

    return state_of(floor.exchange).open_orders


def test_stops_are_placed_day_or_good_till_canceled(floor: Floor) -> None:
    for side, stop in ((BUY, 11), (SELL, 9)):
        floor.place(ANN, side, 1, stop=stop, lasting=GTC)
