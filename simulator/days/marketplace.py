"""The exchange of a simulated day: the trading core, what its traders see of it, and the record of what happens.

Requests come from the kernel when they arrive; the order of arrival decides. It is the exchange's clock, too: phases
change and volatility halts end as SimPy's events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias

from simulator.days.clock import MarketClock
from simulator.days.desk import MONEY_REASONS, Change, Desk, Order
from simulator.days.fundamental import Fundamental
from simulator.days.kernel import Kernel
from simulator.days.listing import Listing, Quote
from simulator.days.recorder import Recorder
from simulator.market.gateway import Action
from trading.core.client_order_ids import ClientOrderIds
from trading.core.commands import (
    CancelOrder,
    ChangePhase,
    Command,
    Deposit,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    SetFees,
)
from trading.core.events import (
    CASH,
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderCanceled,
    PhaseChanged,
    Refused,
    Repeated,
    Traded,
)
from trading.core.exchange import Exchange
from trading.core.orders import (
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)

_QUOTES_KEPT = 4_096
_IDS_KEPT = 100  # desks number their orders, so none comes again; to forget one much later costs as much as an order
_NOBODY: Final = (None, 0)


# A NamedTuple's own constructor is Python code, and takes a good part of what the core takes for the whole order.
_Place: TypeAlias = tuple[
    int, AccountId, str, Symbol, Side, OrderType, TimeInForce, int, int | None, SpecialTerms | None
]
_place_order: Final[Callable[[_Place], PlaceOrder]] = partial(tuple.__new__, PlaceOrder)


_quote: Final[Callable[[tuple[int | None, ...]], Quote]] = partial(tuple.__new__, Quote)


class MarketplaceError(Exception):
    """The exchange refused something that no day may ask for."""


class Marketplace:
    def __init__(self, kernel: Kernel, recorder: Recorder, fees: FeeSchedule) -> None:
        self.kernel, self.recorder = kernel, recorder
        self.exchange = Exchange()
        self.exchange.venue.client_order_ids = ClientOrderIds(_IDS_KEPT)
        self.listings: dict[Symbol, Listing] = {}
        self.desks: list[Desk] = []
        self.refusals: dict[RejectReason, int] = {}
        self._orders: dict[int, Order] = {}  # open on the exchange, by the core's number
        self._orders_rows = recorder.rows["orders"]
        self._trades_rows = recorder.rows["trades"]
        self._quotes_rows = recorder.rows["quotes"]
        # Called with each request after it was carried out: whoever mirrors the day elsewhere listens here.
        self.listener: Callable[[Order, Action], None] | None = None
        if fees != FeeSchedule():
            self._command(SetFees(kernel.now_ns, fees))

    # -- before the day ----------------------------------------------------------------------------

    def list(self, instrument: Instrument, fundamental: Fundamental, clock: MarketClock) -> Listing:
        self._command(ListInstrument(self.kernel.now_ns, instrument))
        book, reference = self.exchange.book(instrument.symbol), instrument.reference_price_micros
        first = Quote(-1, None, 0, None, 0, reference, 0)
        listing = Listing(instrument, fundamental, clock, book.bids, book.asks, [first], last_micros=reference)
        self.listings[instrument.symbol] = listing
        return listing

    def admit(self, desk: Desk, listing: Listing, *, cash_micros: int, shares_micros: int, terms: AccountTerms) -> None:
        """Opens the trader's account with what it brings."""
        now_ns = self.kernel.now_ns
        desk.number = len(self.desks)
        desk.account_id = account_id = AccountId(desk.number + 1)
        desk.listing, desk.kernel, desk.exchange = listing, self.kernel, self
        self._command(OpenAccount(now_ns, account_id, terms))
        for asset, amount in ((CASH, cash_micros), (listing.symbol, shares_micros)):
            if amount:
                self._command(Deposit(now_ns, account_id, asset, amount))
        desk.position = desk.shares_micros = shares_micros
        desk.cash_micros = cash_micros
        self.desks.append(desk)
        row = (desk.number, desk.name, desk.kind, listing.symbol, desk.latency.base_ns, cash_micros, shares_micros)
        self.recorder.rows["traders"].append(row)

    # -- requests, when they arrive ----------------------------------------------------------------

    def place(self, order: Order) -> None:
        desk, now_ns = order.desk, self.kernel.now_ns
        listing = desk.listing
        outcome = self.exchange.apply(
            _place_order(
                (
                    now_ns,
                    desk.account_id,
                    str(order.number),
                    listing.instrument.symbol,
                    order.side,
                    order.order_type,
                    order.time_in_force,
                    order.quantity,
                    order.limit_micros,
                    order.special,
                )
            )
        )
        if isinstance(outcome, list):
            self._record_order(order, "place", order.at_ns, "ok")
            self._happened(listing, outcome, order)
        else:
            self._refuse(order, "place", order.at_ns, outcome)
        if self.listener is not None:
            self.listener(order, Action.PLACE)

    def cancel(self, order: Order) -> None:
        assert order.cancel_at_ns is not None
        desk = order.desk
        command = CancelOrder(self.kernel.now_ns, desk.account_id, OrderId(order.order_id or 0))
        outcome = self.exchange.apply(command)
        if isinstance(outcome, list):
            self._record_order(order, "cancel", order.cancel_at_ns, "ok")
            self._happened(desk.listing, outcome, None)
        else:
            self._refuse(order, "cancel", order.cancel_at_ns, outcome)
        if self.listener is not None:
            self.listener(order, Action.CANCEL)

    def change_phase(self, symbol: Symbol, phase: Phase) -> None:
        """Raises MarketplaceError when it cannot follow the present one."""
        if phase is self.listings[symbol].phase:
            return
        self._happened(self.listings[symbol], self._command(ChangePhase(self.kernel.now_ns, symbol, phase)), None)

    def tell(self, symbol: str, what: str, detail: str = "") -> None:
        """Records a happening of the day."""
        self.recorder.rows["happenings"].append((self.kernel.now_ns, symbol, what, detail))

    # -- what came of it ---------------------------------------------------------------------------

    def _command(self, command: Command) -> Sequence[Event]:
        outcome = self.exchange.apply(command)
        if not isinstance(outcome, list):
            why = outcome.message if isinstance(outcome, Refused) else "it is known already"
            raise MarketplaceError(f"{type(command).__name__}: {why}")
        return outcome

    def _happened(self, listing: Listing, events: Iterable[Event], placed: Order | None) -> None:
        traded = False
        for event in events:
            kind = type(event)
            if kind is LedgerPosted:
                continue
            if kind is Traded:
                assert isinstance(event, Traded)
                self._trade(listing, event)
                traded = True
            elif kind is OrderAccepted and placed is not None:
                assert isinstance(event, OrderAccepted)
                placed.order_id = event.order_id
                self._orders[event.order_id] = placed
                self._answer(placed, Change.ACCEPTED, event.quantity - placed.quantity)
            elif kind is OrderCanceled:
                assert isinstance(event, OrderCanceled)
                self._answer(self._orders.pop(event.order_id), Change.ENDED)
            elif kind is PhaseChanged:
                assert isinstance(event, PhaseChanged)
                self._phase_changed(listing, event)
        self._quote(listing, traded)

    def _trade(self, listing: Listing, event: Traded) -> None:
        maker, taker = self._orders[event.maker_order_id], self._orders[event.taker_order_id]
        price_micros, quantity = event.price_micros, event.quantity
        listing.last_micros = price_micros
        listing.volume += quantity
        taker.taken += quantity
        taker.filled += quantity
        maker.filled += quantity
        for order, leaves in ((maker, event.maker_leaves), (taker, event.taker_leaves)):
            if not leaves:
                del self._orders[order.order_id or 0]
            self._answer(order, Change.FILLED, quantity, price_micros)
        self._trades_rows.append(
            (
                self.kernel.now_ns,
                event.symbol,
                price_micros,
                quantity,
                event.taker_side,
                taker.desk.number,
                taker.number,
                maker.desk.number,
                maker.number,
                event.auction,
            )
        )

    def _answer(self, order: Order, change: Change, quantity: int = 0, price_micros: int = 0) -> None:
        desk = order.desk
        desk.inbox.append((self.kernel.now_ns + desk.latency.base_ns, order, change, quantity, price_micros))

    def _refuse(self, order: Order, action: str, at_ns: int, outcome: Refused | Repeated) -> None:
        assert isinstance(outcome, Refused)
        reason = outcome.reason
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
        self._record_order(order, action, at_ns, reason)
        if action == "place":
            order.refusal = reason
            self._answer(order, Change.REFUSED)
            if reason in MONEY_REASONS:
                self._retire_if_broke(order.desk)

    def _retire_if_broke(self, desk: Desk) -> None:
        """Who has neither the cash for one lot nor one to sell, and nothing open that could bring either, is out."""
        account = self.exchange.venue.accounts[desk.account_id]
        listing = desk.listing
        cash, lot = self.exchange.balance(account.account_id, CASH), listing.instrument.lot
        shares = self.exchange.balance(account.account_id, listing.symbol)
        if account.orders or sum(shares) >= lot or sum(cash) >= listing.last_micros or desk.retired:
            return
        desk.retired = True
        self.tell(listing.symbol, "out of money", desk.name)

    def _phase_changed(self, listing: Listing, event: PhaseChanged) -> None:
        listing.phase = event.phase
        detail = f"from {event.reference_price_micros} micro-dollars"
        if event.reopens_at_ns is not None:
            listing.halts += 1
            symbol, due_ns = event.symbol, event.reopens_at_ns
            self.kernel.steer(due_ns, lambda: self._reopen(due_ns, symbol))
            detail += f", until {due_ns}"
        self.tell(event.symbol, event.phase, detail)

    def _reopen(self, due_ns: int, symbol: Symbol) -> None:
        if (due_ns, symbol) in self.exchange.reopenings():
            self.change_phase(symbol, Phase.CONTINUOUS)

    def _quote(self, listing: Listing, traded: bool) -> None:
        bid = next(listing.bids.levels(), _NOBODY)
        ask = next(listing.asks.levels(), _NOBODY)
        before = listing.quotes[-1]
        if (before[1], before[2], before[3], before[4]) != (*bid, *ask):
            row = (self.kernel.now_ns, listing.instrument.symbol, *bid, *ask)
            self._quotes_rows.append(row)
        elif not traded:
            return
        quotes = listing.quotes
        quotes.append(_quote((self.kernel.now_ns, *bid, *ask, listing.last_micros, listing.volume)))
        if len(quotes) > _QUOTES_KEPT:
            del quotes[: _QUOTES_KEPT // 2]

    def _record_order(self, order: Order, action: str, at_ns: int, outcome: str) -> None:
        special = order.special
        self._orders_rows.append(
            (
                at_ns,
                self.kernel.now_ns,
                order.desk.number,
                order.number,
                order.desk.listing.instrument.symbol,
                action,
                order.side,
                order.order_type,
                order.time_in_force,
                order.quantity,
                order.limit_micros,
                special.stop_price_micros if special else None,
                special.notional_micros if special else None,
                outcome,
            )
        )
