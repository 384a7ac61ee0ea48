"""A trader's desk: turns its intents into requests, and keeps what the answers say about its orders and position."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import assert_never

from reports.records import OutcomeKind
from simulator.market.gateway import Action, Answer, Gateway, OrderAnswer, Request
from simulator.market.intents import Cancel, Intent, Look, Place, View, WorkingOrder
from stack.status import InstrumentStatus
from trading.core.orders import OPEN_STATUSES, OrderType, TimeInForce

PRINTS_KEPT = 100


class _State(StrEnum):
    PENDING = "pending"  # placed, no answer yet
    OPEN = "open"
    UNCLEAR = "unclear"  # the answer to its placing or canceling did not come: the next look tells
    CANCELING = "canceling"


@dataclass(slots=True)
class _Order:
    request: Request
    state: _State
    order_id: str | None = None
    leaves: int = 0


class Desk:
    """One account in one market. ``prints`` is the tape all desks of that market share."""

    def __init__(
        self, account: str, instrument: InstrumentStatus, gateway: Gateway, *, run_id: str, prints: deque[int]
    ) -> None:
        self._account = account
        self._instrument = instrument
        self._gateway = gateway
        self._run_id = run_id
        self._prints = prints
        self._orders: dict[str, _Order] = {}
        self._under_way = 0
        self._placed = 0
        self._position: int | None = None
        self._first_position: int | None = None

    def view(self) -> View:
        return View(
            tick_micros=self._instrument.tick_micros,
            reference_price_micros=self._instrument.reference_price_micros,
            prints=tuple(self._prints),
            working=tuple(_working(order) for order in self._orders.values() if order.state is _State.OPEN),
            under_way=self._under_way,
            inventory=(self._position or 0) - (self._first_position or 0),
        )

    def act(self, intent: Intent, at_s: float) -> None:
        match intent:
            case Place():
                self._place(intent, at_s)
            case Cancel():
                self._cancel(intent.client_order_id, at_s)
            case Look():
                self._look(at_s)
            case _:
                assert_never(intent)

    def _place(self, intent: Place, at_s: float) -> None:
        self._placed += 1
        market = intent.limit_price_micros is None
        request = Request(
            at_s=at_s,
            account=self._account,
            action=Action.PLACE,
            symbol=self._instrument.symbol,
            client_order_id=f"{self._account}-{self._run_id}-{self._placed}",
            side=intent.side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            time_in_force=TimeInForce.DAY if market else intent.time_in_force,
            quantity=intent.quantity,
            limit_price_micros=intent.limit_price_micros,
        )
        order = _Order(request, _State.PENDING, leaves=intent.quantity)
        self._orders[request.client_order_id or ""] = order
        self._send(request, partial(self._placed_answer, order))

    def _cancel(self, client_order_id: str, at_s: float) -> None:
        order = self._orders.get(client_order_id)
        if order is None or order.state is not _State.OPEN:
            return
        order.state = _State.CANCELING
        request = Request(
            at_s=at_s,
            account=self._account,
            action=Action.CANCEL,
            symbol=self._instrument.symbol,
            client_order_id=client_order_id,
            order_id=order.order_id,
        )
        self._send(request, partial(self._cancel_answer, order))

    def _look(self, at_s: float) -> None:
        settled = {key for key, order in self._orders.items() if order.state in (_State.OPEN, _State.UNCLEAR)}
        for action, handle in (
            (Action.POSITIONS, self._position_answer),
            (Action.OPEN_ORDERS, partial(self._open_orders_answer, settled)),
        ):
            request = Request(at_s=at_s, account=self._account, action=action, symbol=self._instrument.symbol)
            self._send(request, handle)

    def _send(self, request: Request, handle: Callable[[Answer], None]) -> None:
        self._under_way += 1

        def on_answer(answer: Answer) -> None:
            self._under_way -= 1
            handle(answer)

        self._gateway.send(request, on_answer)

    def _placed_answer(self, order: _Order, answer: Answer) -> None:
        match answer.outcome:
            case OutcomeKind.OK:
                self._learn(order, answer.orders[0])
            case OutcomeKind.FAIL:
                self._forget(order)
            case OutcomeKind.UNKNOWN:
                order.state = _State.UNCLEAR

    def _cancel_answer(self, order: _Order, answer: Answer) -> None:
        # A refusal too means that nothing rests any more: the order was filled meanwhile, or is not there. After a
        # refusal for any other reason the next look brings the order back.
        if answer.outcome is OutcomeKind.UNKNOWN:
            order.state = _State.UNCLEAR
        else:
            self._forget(order)

    def _position_answer(self, answer: Answer) -> None:
        if answer.position is not None:
            self._position = answer.position
            if self._first_position is None:
                self._first_position = answer.position

    def _open_orders_answer(self, settled: set[str], answer: Answer) -> None:
        """What the exchange lists is what rests, apart from what has been asked for since the look began."""
        if answer.outcome is not OutcomeKind.OK:
            return
        for listed in answer.orders:
            order = self._orders.get(listed.client_order_id)
            if order is None:
                self._adopt(listed)
            elif listed.client_order_id in settled and order.state is not _State.CANCELING:
                self._learn(order, listed)
        listed_ids = {listed.client_order_id for listed in answer.orders}
        for client_order_id in settled - listed_ids:
            order = self._orders.get(client_order_id)
            if order is not None and order.state is not _State.CANCELING:
                self._forget(order)

    def _adopt(self, listed: OrderAnswer) -> None:
        """An order that was taken for lost, or was left by an earlier market with this account."""
        request = Request(
            at_s=0.0,
            account=self._account,
            action=Action.PLACE,
            symbol=self._instrument.symbol,
            client_order_id=listed.client_order_id,
            side=listed.side,
            quantity=listed.quantity,
            limit_price_micros=listed.limit_price_micros,
        )
        order = self._orders[listed.client_order_id] = _Order(request, _State.UNCLEAR)
        self._learn(order, listed)

    def _learn(self, order: _Order, answer: OrderAnswer) -> None:
        leaves = answer.quantity - answer.filled_quantity
        if answer.average_price_micros is not None and leaves < order.leaves:
            self._prints.append(answer.average_price_micros)
        order.order_id, order.leaves = answer.order_id, leaves
        if answer.status in OPEN_STATUSES:
            order.state = _State.OPEN
        else:
            self._forget(order)

    def _forget(self, order: _Order) -> None:
        self._orders.pop(order.request.client_order_id or "", None)


def _working(order: _Order) -> WorkingOrder:
    request = order.request
    assert request.side is not None
    assert request.client_order_id is not None
    return WorkingOrder(request.client_order_id, request.side, request.limit_price_micros or 0, order.leaves)
