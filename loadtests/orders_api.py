"""What a load trader says to the API for each intended operation, and what it takes the answers to mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import quote

import msgspec

from loadtests.clients import Answer, ApiClient
from loadtests.schedule import IntendedOperation, Kind
from loadtests.target import Target
from reports.records import OutcomeKind, outcome_of
from stack.status import AccountStatus, InstrumentStatus
from trading.wire.orders import decimal_text


@dataclass(frozen=True, slots=True)
class Result:
    """``answer`` and ``endpoint`` are None when the operation was never sent."""

    outcome: OutcomeKind
    answer: Answer | None = None
    order_id: str | None = None
    endpoint: str | None = None


class OrdersApi:
    """The traders' side of all endpoints: operations alternate between them; acknowledged order ids are kept."""

    def __init__(self, target: Target, *, connections: int, deadline_s: float) -> None:
        self._target = target
        self._clients = [ApiClient(url, connections=connections, deadline_s=deadline_s) for url in target.apis]
        self._order_ids: dict[str, str] = {}

    def carry_out(self, operation: IntendedOperation) -> Result:
        """Returns when the operation is answered, refused, cut or out of time."""
        client = self._clients[operation.operation_id % len(self._clients)]
        account = self._target.accounts[operation.account]
        match operation.kind:
            case Kind.PLACE:
                return self._place(operation, client, account)
            case Kind.CANCEL:
                return self._cancel(operation, client, account)
            case Kind.LOOKUP:
                return _lookup(operation, client, account)
            case Kind.READ:
                return _read(client.request("GET", "/v2/account", account), client)
            case _:
                assert_never(operation.kind)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _place(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
        body = order_body(operation, self._target.instruments)
        result = _identified(client.request("POST", "/v2/orders", account, body), client)
        if result.order_id is not None and operation.client_order_id is not None:
            self._order_ids[operation.client_order_id] = result.order_id
        return result

    def _cancel(self, operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
        """The order's id is what its trader was told; when it was told none, it asks first."""
        order_id, began = self._order_ids.get(operation.client_order_id or ""), None
        if order_id is None:
            found = _lookup(operation, client, account)
            if found.order_id is None:
                return found
            order_id, began = found.order_id, found.answer
        answer = client.request("DELETE", f"/v2/orders/{order_id}", account)
        if began is not None:
            answer = answer._replace(sent_ns=began.sent_ns)
        return Result(_outcome(answer), answer, order_id, client.url)


def limit_price_micros(operation: IntendedOperation, instruments: Mapping[str, InstrumentStatus]) -> int | None:
    """The intended price on the instrument's grid, at least one tick; None for what has no limit price."""
    if operation.price_offset_ticks is None or operation.symbol is None:
        return None
    instrument = instruments[operation.symbol]
    tick = instrument.tick_micros
    return max(tick, instrument.reference_price_micros // tick * tick + operation.price_offset_ticks * tick)


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


class _Identified(msgspec.Struct):
    id: str


_decode_identified = msgspec.json.Decoder(_Identified).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _outcome(answer: Answer) -> OutcomeKind:
    # A refused connection carried nothing, so nothing can have been executed.
    return OutcomeKind.FAIL if answer.refused else outcome_of(answer.status)


def _identified(answer: Answer, client: ApiClient) -> Result:
    """An answer that names an order; a success that names none tells nothing."""
    outcome, order_id = _outcome(answer), None
    if outcome is OutcomeKind.OK:
        try:
            order_id = _decode_identified(answer.body).id
        except msgspec.DecodeError:
            outcome = OutcomeKind.UNKNOWN
    return Result(outcome, answer, order_id, client.url)


def _read(answer: Answer, client: ApiClient) -> Result:
    outcome = _outcome(answer)
    if outcome is OutcomeKind.OK:
        try:
            _decode_object(answer.body)
        except msgspec.DecodeError:
            outcome = OutcomeKind.UNKNOWN
    return Result(outcome, answer, endpoint=client.url)


def _lookup(operation: IntendedOperation, client: ApiClient, account: AccountStatus) -> Result:
    client_order_id = quote(operation.client_order_id or "", safe="")
    path = f"/v2/orders:by_client_order_id?client_order_id={client_order_id}"
    return _identified(client.request("GET", path, account), client)
