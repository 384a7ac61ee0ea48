"""What a load trader says to the API for each intended operation, and what it takes the answers to mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never
from urllib.parse import quote

import msgspec
from msgspec import structs

from loadtests.clients import Answer, ApiClient
from loadtests.intended import IntendedOperation, Kind
from loadtests.rows import limit_price_micros
from loadtests.target import Target
from loadtests.trader_state import OpenOrder, TraderState, retargeted
from reports.records import OutcomeKind, outcome_of
from stack.status import AccountStatus, InstrumentStatus
from trading.core.orders import OrderStatus, OrderType, Side, TimeInForce
from trading.wire.orders import decimal_text


@dataclass(frozen=True, slots=True)
class Result:
    """``operation`` is what was carried out; ``answer`` and ``endpoint`` are None when it was never sent."""

    outcome: OutcomeKind
    operation: IntendedOperation
    answer: Answer | None = None
    order_id: str | None = None
    endpoint: str | None = None


class OrdersApi:
    """The traders' side of all endpoints: operations alternate between them, and answers teach the traders."""

    def __init__(self, target: Target, *, connections: int, deadline_s: float) -> None:
        self._target = target
        self._clients = [ApiClient(url, connections=connections, deadline_s=deadline_s) for url in target.apis]
        self._states = [TraderState() for _ in target.accounts]

    def carry_out(self, operation: IntendedOperation) -> Result:
        """Returns when the operation is answered, refused, cut or out of time."""
        client = self._clients[operation.operation_id % len(self._clients)]
        account, state = self._target.accounts[operation.account], self._states[operation.account]
        match operation.kind:
            case Kind.PLACE:
                return self._place(operation, client, account)
            case Kind.REPLACE:
                return self._replace(operation, client, account)
            case Kind.CANCEL:
                return self._cancel(operation, client, account)
            case Kind.LOOKUP:
                return _lookup(operation, client, account, state)
            case Kind.READ:
                return _read(client.request("GET", "/v2/account", account), client, operation)
            case Kind.POSITIONS:
                return _read_positions(operation, client, account, state)
            case Kind.ORDERS:
                return _list(operation, client, account, state)
            case Kind.LOGIN:
                return self._log_in(operation, client)
            case _:
                assert_never(operation.kind)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _place(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
        state, name = self._states[operation.account], operation.client_order_id or ""
        state.sent(name)
        body = order_body(operation, self._target.instruments)
        return _ordered(client.request("POST", "/v2/orders", account, body), client, operation, state)

    def _replace(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
        """The old order is gone from the trader's mind unless it was surely left as it is."""
        state = self._states[operation.account]
        operation, order = state.aim(operation)
        found = None if order else _lookup(_looking(operation, operation.replaces), client, account, state)
        if found is not None and found.order_id is None:
            return replace(found, operation=operation)
        order_id = order.order_id if order else found.order_id if found else None
        operation = operation if found is None else _as_found(operation, found)
        state.sent(operation.client_order_id or "")
        body = replacement_body(operation, self._target.instruments)
        result = _ordered(client.request("PATCH", f"/v2/orders/{order_id}", account, body), client, operation, state)
        return self._undone(_since(result, found), order)

    def _cancel(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
        """The order's id is what its trader was told; when it was told none, it asks first."""
        state = self._states[operation.account]
        operation, order = state.aim(operation)
        found = None if order else _lookup(operation, client, account, state)
        if found is not None and found.order_id is None:
            return found
        order_id = order.order_id if order else found.order_id if found else None
        answer = client.request("DELETE", f"/v2/orders/{order_id}", account)
        state.open.pop(operation.client_order_id or "", None)
        return self._undone(_since(Result(_outcome(answer), operation, answer, order_id, client.url), found), order)

    def _undone(self, result: Result, order: OpenOrder | None) -> Result:
        """An early refusal left the order as it was: it can be aimed at again."""
        answer = result.answer
        if order is not None and answer is not None and (answer.refused or answer.status in (429, 503)):
            self._states[result.operation.account].see(order, "")
        return result

    def _log_in(self, operation: IntendedOperation, client: ApiClient) -> Result:
        person = self._target.people[operation.account % len(self._target.people)]
        body = msgspec.json.encode({"name": person.name, "password": person.password})
        return _read(client.request("POST", "/auth/v1/login", None, body), client, operation)


def order_body(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> bytes:
    """The JSON of ``POST /v2/orders``."""
    price = limit_price_micros(operation, instruments)
    body = {
        "symbol": operation.symbol,
        "qty": str(operation.quantity),
        "side": operation.side,
        "type": operation.order_type,
        "time_in_force": operation.time_in_force,
        "client_order_id": operation.client_order_id,
    }
    if price is not None:
        body["limit_price"] = decimal_text(price)
    return msgspec.json.encode(body)


def replacement_body(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> bytes:
    """The JSON of ``PATCH /v2/orders/{id}``."""
    body = {"qty": str(operation.quantity), "client_order_id": operation.client_order_id}
    price = limit_price_micros(operation, instruments)
    if price is not None:
        body["limit_price"] = decimal_text(price)
    return msgspec.json.encode(body)


class _Order(msgspec.Struct):
    """As much of an answered order as its trader needs."""

    id: str
    client_order_id: str = ""
    symbol: str = ""
    side: Side = Side.BUY
    status: str = ""
    filled_qty: str = "0"


class _Position(msgspec.Struct):
    symbol: str
    qty: str


_decode_order = msgspec.json.Decoder(_Order).decode
_decode_orders = msgspec.json.Decoder(list[_Order]).decode
_decode_position = msgspec.json.Decoder(_Position).decode
_decode_positions = msgspec.json.Decoder(list[_Position]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _outcome(answer: Answer) -> OutcomeKind:
    # A refused connection carried nothing, so nothing can have been executed.
    return OutcomeKind.FAIL if answer.refused else outcome_of(answer.status)


def _ordered(answer: Answer, client: ApiClient, operation: IntendedOperation, state: TraderState) -> Result:
    """An answer that names the new order; a success that names none tells nothing."""
    outcome, order_id, name = _outcome(answer), None, operation.client_order_id or ""
    if outcome is OutcomeKind.OK:
        try:
            order = _decode_order(answer.body)
            order_id = order.id
            # What the answer leaves out is as it was asked for; an order that cannot rest is none to aim at.
            side, symbol = operation.side or order.side, operation.symbol or order.symbol
            rests = operation.kind is Kind.REPLACE or _can_rest(operation)
            status = order.status if rests else OrderStatus.FILLED
            state.add(OpenOrder(name, order.id, symbol, side), status, float(order.filled_qty))
        except (msgspec.DecodeError, ValueError):
            outcome = OutcomeKind.UNKNOWN
    if outcome is not OutcomeKind.UNKNOWN:
        state.answered(name)
    return Result(outcome, operation, answer, order_id, client.url)


def _can_rest(operation: IntendedOperation) -> bool:
    return operation.order_type is OrderType.LIMIT and operation.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)


def _since(result: Result, found: Result | None) -> Result:
    """When an order's id had to be asked for, the operation was sent with the question."""
    if found is None or found.answer is None or result.answer is None:
        return result
    return replace(result, answer=result.answer._replace(sent_ns=found.answer.sent_ns))


def _read(answer: Answer, client: ApiClient, operation: IntendedOperation) -> Result:
    return _understood(answer, client, operation, lambda body: _decode_object(body))


def _read_positions(
    operation: IntendedOperation, client: ApiClient, account: AccountStatus, state: TraderState
) -> Result:
    """By turns all of them, and one that the trader knows it has."""
    held = [symbol for symbol, quantity in state.positions.items() if quantity]
    if held and operation.operation_id % 2:
        symbol = held[operation.operation_id // 2 % len(held)]
        answer = client.request("GET", f"/v2/positions/{quote(symbol, safe='')}", account)
        one = structs.replace(operation, symbol=symbol)
        return _understood(answer, client, one, lambda body: _decode_position(body))
    answer = client.request("GET", "/v2/positions", account)
    return _understood(
        answer,
        client,
        operation,
        lambda body: state.set_positions((one.symbol, float(one.qty)) for one in _decode_positions(body)),
    )


def _list(operation: IntendedOperation, client: ApiClient, account: AccountStatus, state: TraderState) -> Result:
    def learn(body: bytes) -> None:
        for order in _decode_orders(body):
            state.see(_open_order(order), order.status)

    return _understood(client.request("GET", "/v2/orders?status=open", account), client, operation, learn)


def _understood(
    answer: Answer, client: ApiClient, operation: IntendedOperation, take: Callable[[bytes], object]
) -> Result:
    """A success that cannot be read tells nothing."""
    outcome = _outcome(answer)
    if outcome is OutcomeKind.OK:
        try:
            take(answer.body)
        except (msgspec.DecodeError, ValueError):
            outcome = OutcomeKind.UNKNOWN
    return Result(outcome, operation, answer, endpoint=client.url)


def _as_found(operation: IntendedOperation, found: Result) -> IntendedOperation:
    """A replacement of what its lookup found."""
    asked, side = found.operation, found.operation.side or Side.BUY
    return retargeted(operation, OpenOrder(asked.client_order_id or "", found.order_id or "", asked.symbol or "", side))


def _looking(operation: IntendedOperation, client_order_id: str | None) -> IntendedOperation:
    return structs.replace(operation, kind=Kind.LOOKUP, client_order_id=client_order_id)


def _lookup(operation: IntendedOperation, client: ApiClient, account: AccountStatus, state: TraderState) -> Result:
    client_order_id = quote(operation.client_order_id or "", safe="")
    path = f"/v2/orders:by_client_order_id?client_order_id={client_order_id}"
    answer = client.request("GET", path, account)
    outcome, order_id = _outcome(answer), None
    if outcome is OutcomeKind.OK:
        try:
            order = _decode_order(answer.body)
            order_id = order.id
            if operation.kind is Kind.LOOKUP and order.symbol:
                operation = structs.replace(operation, symbol=order.symbol, side=order.side)
            if operation.kind is Kind.LOOKUP and order.status and order.client_order_id in state.open:
                state.see(_open_order(order), order.status)
        except msgspec.DecodeError:
            outcome = OutcomeKind.UNKNOWN
    return Result(outcome, operation, answer, order_id, client.url)


def _open_order(order: _Order) -> OpenOrder:
    return OpenOrder(order.client_order_id, order.id, order.symbol, order.side)
