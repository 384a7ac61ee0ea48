"""Every trade was charged what the fee schedule says: worked out once more from the journal, apart from the core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from reports.record import Record
from scenarios.checks.check import Check, Evidence, Findings, present
from trading.core.events import FEES, OUTSIDE, ROUNDING, FeesSet, Traded
from trading.core.orders import MICROS_PER_SHARE, PPB, AccountId, FeeSchedule, Side
from trading.wire.journal import JournalRecord

_CENT_MICROS: Final = 10_000


class Charge(NamedTuple):
    """Micro-dollars from one account to another, in one record; a rebate is paid by FEES."""

    sequence: int
    payer: AccountId
    payee: AccountId
    amount: int


def examine(record: Record) -> Findings:
    """The ledger's postings with the accounts of fees and rounding, added up per record and payer, are what was due."""
    due: Counter[tuple[int, int, int]] = Counter()
    for charge in charges(present(record.journal, "journal record")):
        due[charge[:3]] += charge.amount
    posted: Counter[tuple[int, int, int]] = Counter()
    for line in present(record.ledger, "ledger row"):
        sides = {line.debit_account_id, line.credit_account_id}
        if sides & {FEES, ROUNDING} and OUTSIDE not in sides:
            posted[line.sequence, line.debit_account_id, line.credit_account_id] += line.amount
    violations = [
        _row(*key, f"due {due[key]} micro-dollars, posted {posted[key]}")
        for key in sorted(due.keys() | posted.keys())
        if due[key] != posted[key]
    ]
    summary = f"{len(+due):,} charges were due: {len(violations):,} were others"
    return Findings(summary, violations)


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
                yield from _charges_of(event, fees, entry.sequence)


def _charges_of(trade: Traded, fees: FeeSchedule, sequence: int) -> Iterator[Charge]:
    value = value_micros(trade.quantity, trade.price_micros)
    paid = {Side.BUY: 0, Side.SELL: 0}
    taker_side, maker_side = trade.taker_side, Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    accounts = {taker_side: trade.taker_account_id, maker_side: trade.maker_account_id}
    if not trade.auction:
        paid[taker_side] = value * fees.taker_ppb // PPB
        yield Charge(sequence, accounts[taker_side], FEES, paid[taker_side])
        if fees.maker_ppb < 0:
            yield Charge(sequence, FEES, accounts[maker_side], value * -fees.maker_ppb // PPB)
        else:
            paid[maker_side] = value * fees.maker_ppb // PPB
            yield Charge(sequence, accounts[maker_side], FEES, paid[maker_side])
    by_share = trade.quantity * fees.regulatory_nanos_per_share // (1000 * MICROS_PER_SHARE)
    exact = value * fees.regulatory_ppb // PPB + min(fees.regulatory_cap_micros, by_share)
    charged = min(-(-exact // _CENT_MICROS) * _CENT_MICROS, value - paid[Side.SELL])
    yield Charge(sequence, accounts[Side.SELL], FEES, min(exact, charged))
    yield Charge(sequence, accounts[Side.SELL], ROUNDING, charged - min(exact, charged))


def _row(sequence: int, payer: int, payee: int, problem: str) -> Evidence:
    return {"sequence": sequence, "payer": payer, "payee": payee, "problem": problem}


CHECK = Check("fees", "Every trade was charged what the fee schedule says", examine)
