"""Call auctions: one price for all, at which the most trades; worked through by hand."""

from __future__ import annotations

import pytest

from trading.core.events import PhaseChanged, Traded, Uncrossed
from trading.core.orders import CancelReason, Phase, RejectReason

from .floor import AAA, ANN, BOB, BUY, CAT, CLS, DAY, FOK, GTC, HALT_NS, IOC, OPG, SELL, Floor, dollars, shares


@pytest.fixture
def call(floor: Floor) -> Floor:
    """AAA is called to its opening auction, with a reference price of $10."""
    floor.phase(Phase.CLOSED)
    floor.phase(Phase.PRE_OPEN)
    return floor


def auction(floor: Floor) -> tuple[float | None, float]:
    event = next(event for event in floor.last_events() if isinstance(event, Uncrossed))
    return event.price_micros and event.price_micros / 10**6, event.quantity / 10**6


def test_the_price_is_the_one_at_which_the_most_can_be_executed(call: Floor) -> None:
    """The example of MarketGrid's handbook, at a thousandth of its prices.

    Single-Price Auction, https://docs-240.pages.dev/marketgrid/concepts/trading/matching-algorithms/auction:

        bids at or above  bids  price  asks  asks at or below  executable
                      45    45  13.00    50               485          45
                     140    95  12.90    10               435         140
                     165    25  12.80    15               425         165
                     200    35  12.70    10               410         200
                     225    25  12.60    20               400         225
                     280    55  12.50    90               380         280
                     480   200  12.40   155               290         290
                     560    80  12.30   125               135         135
                     620    60  12.20    10                10          10

    The most, 290, can be executed at 12.40. Bids above 12.40 ask for 280; of the 200 bid at 12.40 the first gets the
    10 that are left of the 290 for sale, so 190 of them stay.
    """
    bids = {13: 45, 12.9: 95, 12.8: 25, 12.7: 35, 12.6: 25, 12.5: 55, 12.4: 200, 12.3: 80, 12.2: 60}
    asks = {13.1: 35, 13: 50, 12.9: 10, 12.8: 15, 12.7: 10, 12.6: 20, 12.5: 90, 12.4: 155, 12.3: 125, 12.2: 10}
    call.deposit(ANN, 10_000)
    for price, amount in bids.items():
        call.buy(ANN, amount, price)
    for price, amount in asks.items():
        call.sell(BOB, amount, price)
    call.phase(Phase.CONTINUOUS)
    assert auction(call) == (12.4, 290)
    assert sum(fill[2] for fill in call.last_fills()) == 290
    assert {fill[1] for fill in call.last_fills()} == {12.4}
    assert call.bids() == [(12.4, 190), (12.3, 80), (12.2, 60)]
    assert call.asks() == [(12.5, 90), (12.6, 20), (12.7, 10), (12.8, 15), (12.9, 10), (13, 50), (13.1, 35)]


@pytest.mark.parametrize(("reference", "price"), [(6.2, 6.35), (6.37, 6.37), (7, 6.39), (6.35, 6.35)])
def test_ties_go_to_the_least_imbalance_and_then_to_the_price_nearest_to_the_reference(
    floor: Floor, reference: float, price: float
) -> None:
    """The order book of the University of New South Wales' lecture on call auctions at the ASX.

    https://cgi.cse.unsw.edu.au/~fethir/TradingEngineCourse/session3/Additional%20readings/ (appendix):
    bids 500 at 6.40, 1,000 at 6.39, 1,000 at 6.34, 500 at 6.33; asks 1,000 at 6.10, 500 at 6.40, 520 at 6.41.
    (Here a hundredth of the quantities.)

    Principle 1: from 6.10 to 6.39 1,000 can be executed. At 6.40 only 500: demand 500, supply 1,500.
    Principle 2: up to 6.33 demand exceeds supply by 2,000, at 6.34 by 1,500, from 6.35 to 6.39 by 500: the least.
    Then, unlike in the lecture, whose exchange asks for the pressure first, the price of those nearest to the
    reference wins: 6.35 from below, 6.39 from above, the reference itself between them.
    """
    floor.phase(Phase.HALTED)
    floor.buy(ANN, 1, reference)
    floor.sell(BOB, 1, reference)
    floor.phase(Phase.CONTINUOUS)
    assert auction(floor) == (reference, 1)
    floor.phase(Phase.HALTED)
    for amount, limit in ((5, 6.4), (10, 6.39), (10, 6.34), (5, 6.33)):
        floor.buy(ANN, amount, limit)
    for offered, limit in ((10, 6.1), (5, 6.4), (5.2, 6.41)):
        floor.sell(BOB, offered, limit, lasting=DAY)
    floor.phase(Phase.CONTINUOUS)
    assert auction(floor) == (price, 10)


def test_the_least_imbalance_counts_before_the_reference(call: Floor) -> None:
    """Bid 10 at 10.01, asked 10 at 9.99 and 10 at 10.00; the reference is $10.00.

    10 can be executed from 9.99 to 10.01. At 9.99 demand is 10 and supply 10; at 10.00 and above supply is 20. So 9.99.
    """
    call.buy(ANN, 10, 10.01)
    call.sell(BOB, 10, 9.99)
    call.sell(CAT, 10, 10)
    call.phase(Phase.CONTINUOUS)
    assert auction(call) == (9.99, 10)


def test_both_sides_are_served_by_price_and_then_by_place(call: Floor) -> None:
    late_but_better = [call.buy(ANN, 10, 10), call.buy(CAT, 10, 10), call.buy(CAT, 10, 10.05)]
    call.sell(BOB, 25, 10)
    call.phase(Phase.CONTINUOUS)
    trades = [event for event in call.last_events() if isinstance(event, Traded)]
    first, second, third = late_but_better
    assert [(trade.maker_order_id, trade.quantity) for trade in trades] == [
        (third, shares(10)),
        (first, shares(10)),
        (second, shares(5)),
    ]
    assert all(trade.auction for trade in trades)
    assert call.bids() == [(10, 5)]


def test_a_buyer_gets_back_what_the_auction_saved(call: Floor) -> None:
    """A bid for 10 at 11 reserves $110; asks 10 at 9. From 9 to 11 10 trade, nearest to the reference is 10: $100."""
    call.buy(ANN, 10, 11)
    assert call.cash(ANN) == (9_890, 110)
    call.sell(BOB, 10, 9)
    call.phase(Phase.CONTINUOUS)
    assert call.cash(ANN) == (9_900, 0)
    assert call.cash(BOB) == (10_100, 0)


def test_an_auction_trades_without_taker_and_maker_fees(call: Floor) -> None:
    call.fees(taker_ppb=3_000_000, maker_ppb=1_000_000)
    call.buy(ANN, 10, 10)
    call.sell(BOB, 10, 10)
    call.phase(Phase.CONTINUOUS)
    assert call.cash(ANN) == (9_900, 0)
    assert call.cash(BOB) == (10_100, 0)


def test_an_account_may_meet_itself_in_an_auction_and_keeps_its_cost(call: Floor) -> None:
    call.buy(ANN, 10, 10)
    call.sell(ANN, 10, 10)
    call.phase(Phase.CONTINUOUS)
    assert auction(call) == (10, 10)
    assert call.cash(ANN) == (10_000, 0)
    assert call.shares(ANN) == (1_000, 0)
    assert call.cost(ANN) == 0


def test_market_orders_join_the_call_at_the_collars_edge_and_leave_with_it(call: Floor) -> None:
    """The collar is 50 %: a market buy bids $15, a market sale asks $5. Supply 30 beats demand 20 by 10 at any price

    from 5 to 15, so the reference decides: 10. The younger market sale finds nobody and is canceled.
    """
    call.buy(ANN, 20, lasting=OPG)
    call.sell(BOB, 20)
    alone = call.sell(CAT, 10)
    assert (call.bids(), call.asks()) == ([(15, 20)], [(5, 30)])
    call.phase(Phase.CONTINUOUS)
    assert auction(call) == (10, 20)
    assert call.ended() == [(alone, CancelReason.UNFILLED)]


def test_what_an_opening_only_order_did_not_get_it_does_not_wait_for(call: Floor) -> None:
    opening, lasting = call.buy(ANN, 10, 9, lasting=OPG), call.buy(BOB, 10, 8, lasting=DAY)
    call.phase(Phase.CONTINUOUS)
    assert auction(call) == (None, 0)
    assert call.ended() == [(opening, CancelReason.UNFILLED)]
    assert call.leaves(lasting) == 10


def test_an_order_for_the_close_waits_out_of_the_book_until_it_is_called(floor: Floor) -> None:
    at_close = floor.sell(ANN, 10, 10, lasting=CLS)
    assert floor.asks() == []
    bid = floor.buy(BOB, 4, 10, lasting=DAY)
    floor.phase(Phase.PRE_CLOSE)
    assert floor.story() == [("rested", at_close)]
    floor.phase(Phase.CLOSED)
    assert auction(floor) == (10, 4)
    assert floor.story()[0] == ("traded", bid)
    assert floor.ended() == [(at_close, CancelReason.UNFILLED)]


def test_the_auctions_price_becomes_the_reference_and_the_last_price(call: Floor) -> None:
    call.buy(ANN, 10, 12)
    call.sell(BOB, 10, 11)
    call.phase(Phase.CONTINUOUS)
    assert PhaseChanged(AAA, Phase.CONTINUOUS, dollars(11), None) in call.last_events()
    assert call.mark() == 11


def test_a_halt_without_a_trade_reopens_around_the_middle_of_the_book(floor: Floor) -> None:
    """Best bid 10.90, best ask 11.01: the middle 10.955 rounded down to a price on tick is 10.95."""
    floor.phase(Phase.HALTED)
    floor.buy(ANN, 1, 10.9)
    floor.sell(BOB, 1, 11.01)
    floor.phase(Phase.CONTINUOUS)
    assert floor.last_events()[-1] == PhaseChanged(AAA, Phase.CONTINUOUS, dollars(10.95), None)


def test_a_price_outside_the_band_halts_the_market_before_it_trades(floor: Floor) -> None:
    """Reference $10, band 5 %: trading stays within 9.50 and 10.50. The ask at 10.51 is not met; the rest rests."""
    floor.instrument(band_ppm=50_000)
    inside = floor.sell(ANN, 10, 10.5)
    floor.sell(ANN, 10, 10.51)
    buyer = floor.buy(BOB, 15, 10.6)
    assert floor.last_fills() == [(inside, 10.5, 10)]
    assert PhaseChanged(AAA, Phase.HALTED, dollars(10), floor.now_ns + HALT_NS) in floor.last_events()
    assert floor.story()[-1] == ("rested", buyer)
    assert floor.bids() == [(10.6, 5)]
    floor.phase(Phase.CONTINUOUS)
    assert auction(floor) == (10.51, 5)


def test_a_sale_that_meets_a_bid_above_the_band_halts_the_market_too(floor: Floor) -> None:
    floor.buy(ANN, 10, 10.6)
    floor.instrument(band_ppm=50_000)
    floor.sell(BOB, 10, 10)
    assert floor.last_fills() == []
    assert floor.exchange.phase(AAA) is Phase.HALTED


def test_a_fill_or_kill_order_that_would_leave_the_band_is_killed_and_halts_nobody(floor: Floor) -> None:
    floor.instrument(band_ppm=50_000)
    floor.sell(ANN, 10, 10.51)
    killed = floor.buy(BOB, 10, 11, lasting=FOK)
    assert floor.ended() == [(killed, CancelReason.UNFILLED)]
    assert floor.exchange.phase(AAA) is Phase.CONTINUOUS


@pytest.mark.parametrize("lasting", [IOC, FOK])
def test_nothing_can_be_had_at_once_in_a_call(call: Floor, lasting: object) -> None:
    command = call.order(ANN, BUY, 1, 10)._replace(time_in_force=lasting)  # type: ignore[arg-type]
    assert call.why_refused(command) is RejectReason.WRONG_PHASE


def test_an_order_for_the_opening_comes_too_late_in_continuous_trading(floor: Floor) -> None:
    assert floor.why_refused(floor.order(ANN, SELL, 1, 10, lasting=OPG)) is RejectReason.WRONG_PHASE
    assert floor.why_refused(floor.order(ANN, SELL, 1, 10, lasting=GTC, symbol=AAA)._replace(quantity=0)) is (
        RejectReason.INVALID_QUANTITY
    )
