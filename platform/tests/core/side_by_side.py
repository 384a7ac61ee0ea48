"""The exchange and its naive specification side by side: the same commands, the same events, the same state."""

from __future__ import annotations

from collections.abc import Iterable

from trading.core.commands import Command
from trading.core.events import CASH, FEES, OUTSIDE, ROUNDING, Outcome, Refused
from trading.core.exchange import Exchange
from trading.core.orders import AccountId, Phase, Side, Symbol
from trading.core.state import state_of

from .naive_exchange import NaiveExchange
from .naive_records import Order


class DifferenceError(AssertionError):
    """The two exchanges are not the same; the message says what the last command was."""


class SideBySide:
    def __init__(self, exchange: Exchange | None = None) -> None:
        self.exchange = exchange or Exchange()
        self.naive = NaiveExchange()

    def apply(self, command: Command, *, thorough: bool = True) -> Outcome:
        """Sends the command to both and compares what they say; if thorough, also everything they know."""
        before = state_of(self.exchange) if thorough else None
        outcome = self.exchange.apply(command)
        expected = self.naive.apply(command)
        said = Refused(outcome.reason, "") if isinstance(outcome, Refused) else outcome
        self._same(command, "outcome", said, expected)
        if before is not None:
            if not isinstance(outcome, list):
                self._same(command, "state", state_of(self.exchange), before)
            self.compare(command)
        return outcome

    def compare(self, command: Command) -> None:
        self._same(command, "clock", self.exchange.now_ns, self.naive.now_ns)
        self._same(command, "ids", self._ids(), (self.naive.sequence, self.naive.last_order_id, self.naive.trades))
        for symbol in self.naive.markets:
            self._compare_market(command, Symbol(symbol))
        for account_id in [*self.naive.accounts, FEES, ROUNDING]:
            for asset in [CASH, *self.naive.markets]:
                where = f"balance of {asset} of account {account_id}"
                balance = (*self.exchange.balance(AccountId(account_id), asset),)
                self._same(command, where, balance, self.naive.balance(account_id, asset))
                cost = self.exchange.cost(AccountId(account_id), asset)
                self._same(command, f"cost, {where}", cost, self.naive.cost(account_id, asset))
        self._check_invariants(command)

    def _ids(self) -> tuple[int, int, int]:
        return self.exchange.sequence, self.exchange.last_order_id, self.exchange.last_trade_id

    def _compare_market(self, command: Command, symbol: Symbol) -> None:
        market = self.naive.markets[symbol]
        fast = (self.exchange.instrument(symbol), self.exchange.phase(symbol), self.exchange.mark_micros(symbol))
        self._same(command, f"{symbol}'s terms", fast, (market.instrument, market.phase, market.mark))
        self._same(command, f"{symbol}'s sequence", self.exchange.symbol_sequence(symbol), market.sequence)
        best = []
        for side in (Side.BUY, Side.SELL):
            resting = self.naive.resting(symbol, side)
            levels = self.exchange.book(symbol).levels(side)
            self._same(command, f"levels of {symbol}", levels, levels_of(resting))
            queue = [order.order_id for order in self.exchange.open_orders(symbol, side)]
            self._same(command, f"queue of {symbol}", queue, [order.order_id for order in resting])
            best += [order.price for order in resting[:1]]
        if market.phase is Phase.CONTINUOUS and len(best) == 2 and best[0] >= best[1]:
            raise DifferenceError(f"{symbol}'s book is crossed after {command}")

    def _check_invariants(self, command: Command) -> None:
        naive = self.naive
        state = state_of(self.exchange)
        opened = [(row.order_id, row.leaves, row.special) for row in state.open_orders]
        expected = [(order.order_id, order.leaves, order.special) for order in naive.open]
        self._same(command, "open orders", sorted(opened), sorted(expected))
        for asset in [CASH, *naive.markets]:
            in_all = sum(naive.total(account_id, asset) for account_id in [*naive.accounts, OUTSIDE, FEES, ROUNDING])
            self._same(command, f"all there is of {asset}", in_all, 0)
            self._same(command, f"issued {asset}", self.exchange.issued(asset), naive.issued(asset))
        needed: dict[tuple[int, str], int] = {}
        for order in naive.open:
            asset, amount = naive.reservation(order)
            needed[order.account, asset] = needed.get((order.account, asset), 0) + amount
        for row in state.balances:
            if row.available + row.reserved == 0:
                self._same(command, f"cost of nothing: {row}", row.cost_micros, 0)
            self._same(command, f"reserved: {row}", row.reserved, needed.get((row.account_id, row.asset), 0))

    def _same(self, command: Command, what: str, fast: object, naive: object) -> None:
        if isinstance(fast, list) and isinstance(naive, list):
            first = next((at for at, pair in enumerate(zip(fast, naive, strict=False)) if pair[0] != pair[1]), None)
            first = min(len(fast), len(naive)) if first is None else first
            if fast[first:] != naive[first:]:
                fast_told, naive_told = told(fast[first:]), told(naive[first:])
                raise DifferenceError(f"{what} {first} after {command}\n fast:{fast_told}\n naive:{naive_told}")
        elif fast != naive:
            raise DifferenceError(f"{what} after {command}\n fast:  {fast}\n naive: {naive}")


def told(events: list[object]) -> str:
    return "".join(f"\n    {event}" for event in events)


def levels_of(orders: Iterable[Order]) -> list[tuple[int, int]]:
    """(price, shares) of each level of one side, best first."""
    levels: dict[int, int] = {}
    for order in orders:
        levels[order.price] = levels.get(order.price, 0) + order.leaves
    return list(levels.items())
