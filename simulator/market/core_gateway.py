"""A gateway straight into the trading core: the same market under virtual time, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from simpy import Environment
from simpy.events import Event

from reports.records import OutcomeKind
from simulator.market.gateway import Action, Answer, OrderAnswer, Request
from trading.core.commands import CancelOrder, ChangePhase, Command, PlaceOrder
from trading.core.events import Repeated
from trading.core.exchange import Exchange
from trading.core.orders import (
    MICROS_PER_SHARE,
    NS_PER_S,
    OPEN_STATUSES,
    AccountId,
    OrderId,
    OrderType,
    Phase,
    Side,
    Symbol,
    TimeInForce,
)
from trading.wire.orders import OrderView, average_price_micros, fold, order_id_of, order_uuid

_REFUSED = Answer(OutcomeKind.FAIL)


class CoreGateway:
    """Requests reach ``exchange`` after ``latency_s`` of virtual time, in the order they were sent.

    It is the exchange's clock, too: a market that a volatility halt stopped is opened again when that is due.
    """

    def __init__(
        self,
        environment: Environment,
        exchange: Exchange,
        accounts: Mapping[str, AccountId],
        *,
        latency_s: float = 0.001,
    ) -> None:
        self._environment = environment
        self._exchange = exchange
        self._accounts = accounts
        self._latency_s = latency_s
        self._orders: dict[OrderId, OrderView] = {}
        self._reopenings: set[tuple[int, Symbol]] = set()
        self.requests: list[Request] = []

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        self.requests.append(request)
        arrival = self._environment.timeout(self._latency_s)
        arrival.callbacks.append(lambda _: on_answer(self._answer(request)))

    def _answer(self, request: Request) -> Answer:
        account_id = self._accounts[request.account]
        match request.action:
            case Action.PLACE:
                return self._place(request, account_id)
            case Action.CANCEL:
                return self._cancel(request, account_id)
            case Action.ORDER:
                asked = self._orders.get(order_id_of(request.order_id or "") or OrderId(0))
                if asked is None or asked.account_id != account_id:
                    return _REFUSED
                return Answer(OutcomeKind.OK, (_order_answer(asked),))
            case Action.OPEN_ORDERS:
                own = (order for order in self._orders.values() if order.account_id == account_id)
                listed = tuple(_order_answer(order) for order in own if order.status in OPEN_STATUSES)
                return Answer(OutcomeKind.OK, listed)
            case Action.POSITIONS:
                held = sum(self._exchange.balance(account_id, request.symbol))
                return Answer(OutcomeKind.OK, position=held // MICROS_PER_SHARE)

    def _place(self, request: Request, account_id: AccountId) -> Answer:
        command = PlaceOrder(
            self._now_ns(),
            account_id,
            request.client_order_id or "",
            Symbol(request.symbol),
            request.side or Side.BUY,
            request.order_type or OrderType.LIMIT,
            request.time_in_force or TimeInForce.DAY,
            (request.quantity or 0) * MICROS_PER_SHARE,
            request.limit_price_micros,
        )
        touched = self._apply(command)
        own = [self._orders[order_id] for order_id in touched if self._is(order_id, request)]
        return Answer(OutcomeKind.OK, (_order_answer(own[0]),)) if own else _REFUSED

    def _cancel(self, request: Request, account_id: AccountId) -> Answer:
        order_id = order_id_of(request.order_id or "")
        if order_id is None:
            return _REFUSED
        return Answer(OutcomeKind.OK) if self._apply(CancelOrder(self._now_ns(), account_id, order_id)) else _REFUSED

    def _apply(self, command: Command) -> set[OrderId]:
        outcome = self._exchange.apply(command)
        match outcome:
            case list():
                self._await_reopenings()
                return fold(self._orders, outcome, sequence=self._exchange.sequence, at_ns=self._now_ns())
            case Repeated():
                return {outcome.order_id}
            case _:
                return set()

    def _await_reopenings(self) -> None:
        due = set(self._exchange.reopenings())
        for at_ns, symbol in sorted(due - self._reopenings):
            wait = self._environment.timeout(max(0.0, at_ns / NS_PER_S - self._environment.now))
            wait.callbacks.append(partial(self._reopen, (at_ns, symbol)))
        self._reopenings = due

    def _reopen(self, due: tuple[int, Symbol], _: Event) -> None:
        if due in self._exchange.reopenings():
            self._apply(ChangePhase(self._now_ns(), due[1], Phase.CONTINUOUS))

    def _is(self, order_id: OrderId, request: Request) -> bool:
        order = self._orders[order_id]
        return order.client_order_id == request.client_order_id

    def _now_ns(self) -> int:
        return round(self._environment.now * NS_PER_S)


def _order_answer(order: OrderView) -> OrderAnswer:
    return OrderAnswer(
        order_id=order_uuid(order.order_id),
        client_order_id=order.client_order_id,
        side=order.side,
        status=order.status,
        quantity=order.quantity // MICROS_PER_SHARE,
        filled_quantity=order.filled_quantity // MICROS_PER_SHARE,
        limit_price_micros=order.limit_price_micros,
        average_price_micros=average_price_micros(order),
    )
