"""What trading costs, to the micro-dollar, and who gets it."""

from __future__ import annotations

from trading.core.commands import SetFees
from trading.core.events import CASH, FEES, ROUNDING
from trading.core.orders import FeeSchedule, RejectReason

from .floor import AAA, ANN, BOB, DAY, Floor, dollars, in_dollars

AVAILABLE, RESERVED = "available", "reserved"


def of_house(floor: Floor) -> tuple[float, float]:
    """Fees and rounding."""
    return in_dollars(floor.exchange.balance(FEES, CASH)[0]), in_dollars(floor.exchange.balance(ROUNDING, CASH)[0])


def test_the_taker_pays_and_the_maker_gets_a_rebate(floor: Floor) -> None:
    """10 at $10 are $100: the taker pays 0.3 %, 30 cents, the maker gets 0.2 %, 20 cents; 10 cents stay."""
    floor.fees(taker_ppb=3_000_000, maker_ppb=-2_000_000)
    floor.sell(ANN, 10, 10)
    floor.buy(BOB, 10, 10)
    assert floor.cash(BOB) == (9_899.7, 0)
    assert floor.cash(ANN) == (10_100.2, 0)
    assert of_house(floor) == (0.1, 0)


def test_both_sides_pay_when_the_maker_has_no_rebate(floor: Floor) -> None:
    floor.fees(taker_ppb=3_000_000, maker_ppb=1_000_000)
    floor.buy(BOB, 10, 10)
    assert floor.cash(BOB) == (9_899.7, 100.3), "it reserves for the dearer of the two fees"
    floor.sell(ANN, 10, 10)
    assert floor.cash(BOB) == (9_899.9, 0)
    assert floor.cash(ANN) == (10_099.7, 0)
    assert of_house(floor) == (0.4, 0)


def test_the_regulatory_charge_is_rounded_up_to_a_cent_and_the_residue_has_an_account(floor: Floor) -> None:
    """Selling 10 for $100 at 27.8 millionths: $0.00278; 166 nano-dollars for each of 10 shares: $0.00000166, rounded

    down to one micro-dollar. Together $0.002781, charged as a cent: $0.002781 are fees, $0.007219 are rounding.
    """
    floor.fees(regulatory_ppb=27_800, regulatory_nanos_per_share=166, regulatory_cap_micros=8_300_000)
    floor.buy(BOB, 10, 10)
    floor.sell(ANN, 10, 10)
    assert floor.cash(ANN) == (10_099.99, 0)
    assert of_house(floor) == (0.002781, 0.007219)


def test_the_charge_per_share_is_capped(floor: Floor) -> None:
    """Half a cent a share for 10 shares is 5 cents, capped at 3."""
    floor.fees(regulatory_nanos_per_share=5_000_000, regulatory_cap_micros=30_000)
    floor.buy(BOB, 10, 10)
    floor.sell(ANN, 10, 10)
    assert of_house(floor) == (0.03, 0)


def test_the_regulatory_charge_never_takes_more_than_the_sale_brought(floor: Floor) -> None:
    """A ten-thousandth of a share brings $0.001. A tenth of that is owed, a cent would be charged: $0.001 is."""
    floor.fees(regulatory_ppb=100_000_000)
    floor.buy(BOB, 1, 10)
    floor.sell(ANN, 0.0001, 10, lasting=DAY)
    assert floor.cash(ANN) == (10_000, 0)
    assert of_house(floor) == (0.0001, 0.0009)


def test_a_trades_postings_come_in_order(floor: Floor) -> None:
    """Bob bids 10 at 11 with a taker fee of 1 %: $111.10 reserved. At 10 he pays $100 and $1 and gets $10.10 back."""
    floor.fees(taker_ppb=10_000_000, maker_ppb=-5_000_000)
    floor.sell(ANN, 10, 10)
    floor.buy(BOB, 10, 11)
    assert floor.last_postings() == [
        (BOB, AVAILABLE, BOB, RESERVED, CASH, dollars(111.1)),
        (BOB, RESERVED, ANN, AVAILABLE, CASH, dollars(100)),
        (ANN, RESERVED, BOB, AVAILABLE, AAA, 10_000_000),
        (BOB, RESERVED, FEES, AVAILABLE, CASH, dollars(1)),
        (FEES, AVAILABLE, ANN, AVAILABLE, CASH, dollars(0.5)),
        (BOB, RESERVED, BOB, AVAILABLE, CASH, dollars(10.1)),
    ]


def test_a_value_is_rounded_down_and_a_reservation_up(floor: Floor) -> None:
    """A millionth of a share at $10.01 is worth 10.01 micro-dollars: 11 are reserved, 10 paid, 1 comes back."""
    floor.sell(ANN, 1, 10.01)
    floor.buy(BOB, 0.000001, 10.01, lasting=DAY)
    assert [posting[5] for posting in floor.last_postings()] == [11, 10, 1, 1]


def test_a_trade_worth_less_than_a_micro_dollar_moves_the_shares_alone(floor: Floor) -> None:
    floor.instrument(collar_ppm=1_000_000)
    floor.sell(ANN, 1, 0.0001)
    floor.buy(BOB, 0.000001, 0.0001, lasting=DAY)
    assert [posting[4:] for posting in floor.last_postings()] == [(CASH, 1), (AAA, 1), (CASH, 1)]


def test_fees_change_only_while_no_order_is_open(floor: Floor) -> None:
    order_id = floor.buy(ANN, 1, 10)
    command = SetFees(0, FeeSchedule(taker_ppb=1))
    assert floor.why_refused(command) is RejectReason.WRONG_PHASE
    floor.cancel(ANN, order_id)
    floor.accepted(command)
    assert floor.why_refused(command) is RejectReason.NOTHING_TO_CHANGE
    wrong: list[dict[str, int]] = [
        {"taker_ppb": -1},
        {"taker_ppb": 10**8 + 1},
        {"maker_ppb": -2, "taker_ppb": 1},
        {"regulatory_ppb": 10**400},
    ]
    for rates in wrong:
        assert floor.why_refused(SetFees(0, FeeSchedule(**rates))) is RejectReason.INVALID_SETTING
