"""An account that would trade with itself: four ways out of it."""

from __future__ import annotations

import pytest

from trading.core.orders import CancelReason, SelfTrade

from .floor import ANN, BOB, FOK, Floor

SELF = CancelReason.SELF_TRADE


@pytest.mark.parametrize(
    ("mode", "story", "asks"),
    [
        (SelfTrade.CANCEL_NEWEST, [("traded", 3), (f"canceled: {SELF}", 3)], [(10.1, 10)]),
        (SelfTrade.CANCEL_OLDEST, [("traded", 3), (f"canceled: {SELF}", 2), ("rested", 3)], []),
        (SelfTrade.CANCEL_BOTH, [("traded", 3), (f"canceled: {SELF}", 2), (f"canceled: {SELF}", 3)], []),
        (SelfTrade.DECREMENT, [("traded", 3), (f"canceled: {SELF}", 2), (f"reduced: {SELF}", 3), ("rested", 3)], []),
    ],
    ids=str,
)
def test_an_order_that_reaches_its_own_account(
    floor: Floor, mode: SelfTrade, story: list[tuple[str, int]], asks: list[tuple[float, float]]
) -> None:
    """Bob offers 10 at 10.00, Ann 10 at 10.10; then Ann bids for 25 at 10.10."""
    floor.terms(ANN, self_trade=mode)
    floor.sell(BOB, 10, 10)
    floor.sell(ANN, 10, 10.1)
    floor.buy(ANN, 25, 10.1)
    told = [(what, order_id) for what, order_id in floor.story() if what != f"reduced: {SELF}" or order_id == 3]
    assert told == story
    assert floor.asks() == asks
    assert floor.shares(ANN)[1] == (10 if asks else 0)


def test_a_decrement_leaves_the_larger_order_with_the_difference(floor: Floor) -> None:
    floor.terms(ANN, self_trade=SelfTrade.DECREMENT)
    resting = floor.sell(ANN, 10, 10)
    taker = floor.buy(ANN, 4, 10)
    assert floor.story() == [(f"reduced: {SELF}", resting), (f"canceled: {SELF}", taker)]
    assert floor.asks() == [(10, 6)]
    assert floor.cash(ANN) == (10_000, 0)
    assert floor.shares(ANN) == (994, 6)


def test_fill_or_kill_does_not_count_on_ones_own_orders(floor: Floor) -> None:
    floor.sell(BOB, 5, 10)
    floor.sell(ANN, 10, 10)
    floor.sell(BOB, 5, 10)
    killed = floor.buy(ANN, 10, 10, lasting=FOK)
    assert floor.ended() == [(killed, CancelReason.UNFILLED)]
    floor.terms(ANN, self_trade=SelfTrade.CANCEL_OLDEST)
    floor.buy(ANN, 10, 10, lasting=FOK)
    assert sum(fill[2] for fill in floor.last_fills()) == 10
