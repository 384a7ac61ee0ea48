"""Long random flows through the exchange, with the books kept beside it: what is conserved, and what is reserved.

The checks need the events alone and only look at the rows an event touched; now and then everything is counted.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

from trading.core.events import CASH, OUTSIDE, Bucket, Event, LedgerPosted, Outcome
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, OrderId, Phase, Side
from trading.core.state import State, restore, state_of

from .census import Census
from .flow import BUSY, LIVELY, Flow
from .side_by_side import SideBySide

RESERVED = Bucket.RESERVED


class Dice(Random):
    """Random's own ``randrange`` is exact for any range and takes three times as long."""

    def randrange(self, sides: int) -> int:  # type: ignore[override]
        return int(self.random() * sides)


class LedgerBeside:
    """Every posting booked a second time, from the events alone."""

    def __init__(self) -> None:
        self.held: dict[tuple[int, Bucket, str], int] = defaultdict(int)

    def book(self, events: list[Event]) -> None:
        held = self.held
        for event in events:
            if type(event) is LedgerPosted:
                debit, debit_bucket, credit, credit_bucket, asset, amount = event
                assert amount > 0
                held[debit, debit_bucket, asset] -= amount
                held[credit, credit_bucket, asset] += amount
                assert debit_bucket is not RESERVED or held[debit, debit_bucket, asset] >= 0

    def check(self, exchange: Exchange) -> None:
        """What is in all accounts came in from outside, and the exchange says the same as its events."""
        everything: dict[str, int] = defaultdict(int)
        for (_, _, asset), amount in self.held.items():
            everything[asset] += amount
        assert not any(everything.values()), everything
        for (account_id, bucket, asset), amount in self.held.items():
            if account_id != OUTSIDE:
                balance = exchange.balance(AccountId(account_id), asset)
                assert balance[bucket is RESERVED] == amount, (account_id, bucket, asset)
            else:
                assert exchange.issued(asset) == -amount


def check_reservations(state: State) -> None:
    """What is reserved is what the open orders that reserve need, to the micro-dollar and micro-share."""
    fees = state.head.fees
    rate = max(fees.taker_ppb, fees.maker_ppb, 0)
    needed: dict[tuple[int, str], int] = defaultdict(int)
    for row in state.open_orders:
        if row.covered and row.side is Side.SELL:
            needed[row.account_id, row.symbol] += row.leaves
        elif row.covered:
            value = -(-row.leaves * row.reserve_micros // 10**6)
            needed[row.account_id, CASH] += value - (-value * rate // 10**9)
    reserved = {(row.account_id, row.asset): row.reserved for row in state.balances if row.reserved}
    assert reserved == needed


def check_books(exchange: Exchange) -> None:
    for symbol in exchange.symbols():
        best = [exchange.book(symbol).levels(side)[:1] for side in Side]
        if exchange.phase(symbol) is Phase.CONTINUOUS and all(best):
            assert best[0][0][0] < best[1][0][0], f"{symbol}'s book is crossed"


def soak(seed: int, commands: int, *, check_every: int = 50_000) -> Exchange:
    """Runs a busy flow through the fast exchange, booking every posting beside it."""
    exchange, flow, ledger = Exchange(), Flow(Dice(seed), BUSY), LedgerBeside()
    for command in flow.opening():
        _apply(exchange.apply(command), flow, ledger)
    apply, following = exchange.apply, flow.next
    for number in range(commands):
        _apply(apply(following()), flow, ledger)
        if number % check_every == check_every - 1:
            check_everything(exchange, flow, ledger)
    state = state_of(exchange)
    assert state_of(restore(state)) == state
    return exchange


def _apply(outcome: Outcome, flow: Flow, ledger: LedgerBeside) -> None:
    if type(outcome) is list:
        flow.saw(outcome)
        ledger.book(outcome)


def check_everything(exchange: Exchange, flow: Flow, ledger: LedgerBeside) -> None:
    state = state_of(exchange)
    ledger.check(exchange)
    check_reservations(state)
    check_books(exchange)
    told: set[OrderId] = set(flow.open)
    assert {row.order_id for row in state.open_orders} == told, "an order is open that the events say has ended"


def soak_side_by_side(seed: int, commands: int, *, compare_every: int = 500) -> Census:
    """Runs a lively flow through both exchanges, comparing every outcome, and all they know now and then."""
    both, flow, census = SideBySide(), Flow(Random(seed), LIVELY), Census()
    for command in flow.opening():
        outcome = both.apply(command, thorough=False)
        flow.saw(outcome)
        census.saw(command, outcome, {})
    accounts = both.naive.accounts
    for number in range(commands):
        command = flow.next()
        outcome = both.apply(command, thorough=False)
        flow.saw(outcome)
        census.saw(command, outcome, {owner: account.terms.self_trade for owner, account in accounts.items()})
        if number % compare_every == 0:
            both.compare(command)
    return census
