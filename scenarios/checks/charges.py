"""What trading costs, worked out once more from the journal's trades and fee schedules, to judge what was charged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from trading.core.events import FEES, ROUNDING, FeesSet, Traded
from trading.core.orders import MICROS_PER_SHARE, PPB, AccountId, FeeSchedule, Side
from trading.wire.journal import JournalRecord

_CENT_MICROS: Final = 10_000


class Charge(NamedTuple):
    """Micro-dollars from one account to another; a rebate is paid by FEES."""

    payer: AccountId
    payee: AccountId
    amount: int


def value_micros(quantity: int, price_micros: int) -> int:
    """What a fill is worth to both sides: rounded down to the micro-dollar."""
    return quantity * price_micros // MICROS_PER_SHARE


def charges(journal: Iterable[JournalRecord]) -> Iterator[Charge]:
    """Every charge of every trade; some may be of nothing."""
    fees = FeeSchedule()
    for entry in journal:
        for event in entry.events:
            if isinstance(event, FeesSet):
                fees = event.fees
            elif isinstance(event, Traded):
                yield from _charges_of(event, fees)


def _charges_of(trade: Traded, fees: FeeSchedule) -> Iterator[Charge]:
    value = value_micros(trade.quantity, trade.price_micros)
    paid = {Side.BUY: 0, Side.SELL: 0}
    taker_side, maker_side = trade.taker_side, Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    accounts = {taker_side: trade.taker_account_id, maker_side: trade.maker_account_id}
    if not trade.auction:
        paid[taker_side] = value * fees.taker_ppb // PPB
        yield Charge(accounts[taker_side], FEES, paid[taker_side])
        if fees.maker_ppb < 0:
            yield Charge(FEES, accounts[maker_side], value * -fees.maker_ppb // PPB)
        else:
            paid[maker_side] = value * fees.maker_ppb // PPB
            yield Charge(accounts[maker_side], FEES, paid[maker_side])
    by_share = trade.quantity * fees.regulatory_nanos_per_share // (1000 * MICROS_PER_SHARE)
    exact = value * fees.regulatory_ppb // PPB + min(fees.regulatory_cap_micros, by_share)
    charged = min(-(-exact // _CENT_MICROS) * _CENT_MICROS, value - paid[Side.SELL])
    yield Charge(accounts[Side.SELL], FEES, min(exact, charged))
    yield Charge(accounts[Side.SELL], ROUNDING, charged - min(exact, charged))
