"""Cash and shares are neither made nor lost, and the ledger balances."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from reports.record import Record
from scenarios.checks.charges import charges, value_micros
from scenarios.checks.check import Check, Evidence, Findings, present
from trading.core.commands import Deposit, Transfer, Withdraw
from trading.core.events import CASH, OUTSIDE, AccountChanged, AccountOpened, Bucket
from trading.core.orders import Side
from trading.wire.journal import JournalRecord

Holdings = dict[tuple[int, str], int]  # (account, asset) -> amount


class _Lending:
    """Which accounts may owe, as their terms change: a margin account's available balance may go below zero."""

    def __init__(self, journal: Iterable[JournalRecord]) -> None:
        self._changes = deque(
            (entry.sequence, event.account_id, event.terms.multiplier)
            for entry in journal
            for event in entry.events
            if isinstance(event, AccountOpened | AccountChanged)
        )
        self._multipliers: dict[int, int] = {}

    def allows(self, account_id: int, bucket: str, amount: int, sequence: int) -> bool:
        """Whether the bucket may hold ``amount`` after that record. ``sequence`` must not go down from call to call."""
        while self._changes and self._changes[0][0] <= sequence:
            _, changed, self._multipliers[changed] = self._changes.popleft()
        may_owe = bucket == Bucket.AVAILABLE and self._multipliers.get(account_id, 1) > 1
        return amount >= 0 or account_id == OUTSIDE or may_owe


def examine_ledger(record: Record) -> Findings:
    """The ledger, folded line by line, is what the balances table says, and no bucket was ever overdrawn."""
    lines = sorted(present(record.ledger, "ledger row"), key=lambda line: (line.sequence, line.line))
    lending = _Lending(record.journal)
    buckets: dict[tuple[int, str, str], int] = defaultdict(int)
    violations = []
    for line in lines:
        debit = (line.debit_account_id, line.asset, line.debit_bucket)
        buckets[debit] -= line.amount
        buckets[line.credit_account_id, line.asset, line.credit_bucket] += line.amount
        if line.amount <= 0:
            violations.append(_row(*debit[:2], f"sequence {line.sequence} posts the amount {line.amount}"))
        if not lending.allows(line.debit_account_id, line.debit_bucket, buckets[debit], line.sequence):
            violations.append(_row(*debit[:2], f"{line.debit_bucket} overdrawn at sequence {line.sequence}"))
    violations += _against_balances(buckets, record, lending)
    summary = f"{len(lines):,} postings folded, {len(record.balances):,} balances compared: {len(violations):,} differ"
    return Findings(summary, violations)


def examine_conservation(record: Record) -> Findings:
    """What all accounts hold is what came in; what each holds follows from its deposits, fills and fees alone.

    The accounts of fees and rounding are accounts like all others here.
    """
    present(record.balances, "balance")
    came_in = _movements(record)
    present(list(came_in), "deposit in the journal")
    held: Holdings = {(row.account_id, row.asset): row.available + row.reserved for row in record.balances}
    violations = _totals(came_in, held)
    expected = _after_fills(came_in, record)
    for account_id, asset in sorted(expected.keys() | held.keys()):
        due, has = expected.get((account_id, asset), 0), held.get((account_id, asset), 0)
        if due != has:
            violations.append(_row(account_id, asset, f"deposits, fills and fees make {due}, the balance is {has}"))
    accounts = {account_id for account_id, _ in held}
    summary = (
        f"{len(accounts):,} accounts, {len(record.fills) // 2:,} trades: {len(violations):,} sums differ; "
        f"cash {_sum(held, CASH) / 1e6:,.2f} USD of {_sum(came_in, CASH) / 1e6:,.2f} deposited"
    )
    return Findings(summary, violations)


def _against_balances(buckets: dict[tuple[int, str, str], int], record: Record, lending: _Lending) -> list[Evidence]:
    stored = {}
    for row in record.balances:
        stored[row.account_id, row.asset, Bucket.AVAILABLE.value] = row.available
        stored[row.account_id, row.asset, Bucket.RESERVED.value] = row.reserved
    last = max((entry.sequence for entry in record.journal), default=0)
    violations = [
        _row(account_id, asset, f"{bucket} is {amount}")
        for (account_id, asset, bucket), amount in stored.items()
        if not lending.allows(account_id, bucket, amount, last)
    ]
    for key in sorted(buckets.keys() | stored.keys()):
        account_id, asset, bucket = key
        folded, has = buckets.get(key, 0), stored.get(key, 0)
        if account_id != OUTSIDE and folded != has:
            violations.append(_row(account_id, asset, f"{bucket}: the ledger makes {folded}, the balance is {has}"))
    return violations


def _movements(record: Record) -> Holdings:
    """What each account was given and gave away without trading."""
    came_in: Holdings = defaultdict(int)
    for entry in record.journal:
        match entry.command:
            case Deposit(account_id=account_id, asset=asset, amount=amount):
                came_in[account_id, asset] += amount
            case Withdraw(account_id=account_id, asset=asset, amount=amount):
                came_in[account_id, asset] -= amount
            case Transfer(account_id=account_id, to_account_id=to_account_id, asset=asset, amount=amount):
                came_in[account_id, asset] -= amount
                came_in[to_account_id, asset] += amount
            case _:
                pass
    return came_in


def _after_fills(came_in: Holdings, record: Record) -> Holdings:
    holdings: Holdings = defaultdict(int, came_in)
    for fill in record.fills:
        direction = 1 if fill.side == Side.BUY else -1
        holdings[fill.account_id, fill.symbol] += direction * fill.quantity
        holdings[fill.account_id, CASH] -= direction * value_micros(fill.quantity, fill.price_micros)
    for charge in charges(record.journal):
        holdings[charge.payer, CASH] -= charge.amount
        holdings[charge.payee, CASH] += charge.amount
    return holdings


def _totals(came_in: Holdings, held: Holdings) -> list[Evidence]:
    assets = sorted({asset for _, asset in came_in.keys() | held.keys()})
    return [
        _row(None, asset, f"deposited {_sum(came_in, asset)}, held {_sum(held, asset)}")
        for asset in assets
        if _sum(came_in, asset) != _sum(held, asset)
    ]


def _sum(holdings: Holdings, asset: str) -> int:
    return sum(amount for (_, held), amount in holdings.items() if held == asset)


def _row(account_id: int | None, asset: str, problem: str) -> Evidence:
    return {"account_id": "all" if account_id is None else account_id, "asset": asset, "problem": problem}


LEDGER_CHECK = Check("ledger_balances", "The ledger balances, and is what the balances say", examine_ledger)
CONSERVATION_CHECK = Check("conservation", "Cash and shares are conserved", examine_conservation)
