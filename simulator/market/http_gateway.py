"""The gateway a market really trades through: the public API, every operation recorded in ``operations-market``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import count
from pathlib import Path
from time import time_ns
from typing import assert_never

import msgspec

from reports.records import OPERATIONS, OutcomeKind, TableWriter, outcome_of
from reports.rows import Operation
from simulator.market.connections import Connections, Reply
from simulator.market.gateway import MOST_LISTED, Action, Answer, OrderAnswer, Request
from stack.status import AccountStatus
from trading.core.orders import MICROS_PER_SHARE, OrderStatus, Side
from trading.wire.feed import micros_of
from trading.wire.orders import decimal_text

MARKET_FULL = "market full"
_STOPPED = "the market was stopped before an answer came"
_RULINGS = frozenset({400, 403, 404, 409, 422})
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """``speed`` is how many of the market's seconds make a real one."""

    endpoints: Sequence[str]
    speed: float = 1.0
    max_in_flight: int = 128
    deadline_s: float = 8.0


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What one request came to; ``sent_ns`` None: it was never sent."""

    endpoint: str | None
    sent_ns: int | None
    done_ns: int | None
    status: int | None
    body: str
    answer: Answer


def open_record(folder: Path) -> TableWriter:
    """Small batches: turning rows into one holds up the whole market. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return TableWriter(folder / "operations-market", OPERATIONS, rows_per_batch=200)


class HttpGateway:
    """Operations alternate between the endpoints. Beyond ``max_in_flight`` they are recorded as never sent."""

    def __init__(self, accounts: Mapping[str, AccountStatus], writer: TableWriter, options: HttpOptions) -> None:
        self._connections = Connections()
        self._accounts = accounts
        self._heads = {name: _account_head(account) for name, account in accounts.items()}
        self._options = options
        self._writer = writer
        self._start_ns = 0
        self._ids = count()
        self._in_flight = 0
        self.recorded = 0
        self.failure: OSError | None = None

    def start(self) -> None:
        """The market's time is zero now."""
        self._start_ns = time_ns()

    def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        operation_id = next(self._ids)
        if self._in_flight >= self._options.max_in_flight:
            answer = Answer(OutcomeKind.FAIL, sent=False)
            self._record(operation_id, request, _Exchange(None, None, None, None, MARKET_FULL, answer))
            asyncio.get_running_loop().call_soon(on_answer, answer)
            return
        self._in_flight += 1
        endpoint = self._options.endpoints[operation_id % len(self._options.endpoints)]
        sent_ns = time_ns()

        def heard(reply: Reply) -> None:
            self._in_flight -= 1
            exchange = _exchange(request, reply, endpoint, sent_ns)
            self._record(operation_id, request, exchange)
            on_answer(exchange.answer)

        self._connections.ask(
            endpoint, _http_request(request, self._heads[request.account]), self._options.deadline_s, heard
        )

    async def close(self) -> None:
        """Ends the record; what is still under way has an unknown outcome. Raises OSError when it cannot be written."""
        await self._connections.close(_STOPPED)
        self._writer.close()

    def _record(self, operation_id: int, request: Request, exchange: _Exchange) -> None:
        placed = exchange.answer.orders[:1] if request.action is Action.PLACE else ()
        operation = Operation(
            source="market",
            operation_id=operation_id,
            kind=request.action if request.action in (Action.PLACE, Action.CANCEL) else "read",
            account_id=self._accounts[request.account].account_id,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            quantity=None if request.quantity is None else request.quantity * MICROS_PER_SHARE,
            limit_price_micros=request.limit_price_micros,
            intended_ns=self._start_ns + round(request.at_s / self._options.speed * _NS_PER_S),
            sent_ns=exchange.sent_ns,
            done_ns=exchange.done_ns,
            outcome=exchange.answer.outcome,
            http_status=exchange.status,
            order_id=placed[0].order_id if placed else request.order_id,
            endpoint=exchange.endpoint,
            answer=exchange.body,
        )
        try:
            self._writer.add(msgspec.structs.asdict(operation))
            self.recorded += 1
        except OSError as error:
            self.failure = error


class _OrderBody(msgspec.Struct):
    id: str
    client_order_id: str
    side: Side
    status: OrderStatus
    qty: str
    filled_qty: str
    limit_price: str | None = None
    filled_avg_price: str | None = None


class _PositionBody(msgspec.Struct):
    symbol: str
    qty: str


def parse_answer(request: Request, status: int, text: str) -> Answer:
    """An answer's meaning; a success that cannot be read tells nothing."""
    outcome = outcome_of(status)
    if outcome is not OutcomeKind.OK:
        return Answer(outcome, ruled=status in _RULINGS)
    try:
        match request.action:
            case Action.PLACE | Action.ORDER:
                return Answer(outcome, (_order_answer(msgspec.json.decode(text, type=_OrderBody)),))
            case Action.CANCEL:
                return Answer(outcome)
            case Action.OPEN_ORDERS:
                listed = msgspec.json.decode(text, type=list[_OrderBody])
                return Answer(outcome, tuple(_order_answer(order) for order in listed))
            case Action.POSITIONS:
                held = msgspec.json.decode(text, type=list[_PositionBody])
                return Answer(outcome, position=sum(_shares(row.qty) for row in held if row.symbol == request.symbol))
            case _:
                assert_never(request.action)
    except (msgspec.DecodeError, InvalidOperation, ValueError):
        return Answer(OutcomeKind.UNKNOWN)


def _exchange(request: Request, reply: Reply, endpoint: str, sent_ns: int) -> _Exchange:
    if reply.status is None:
        outcome = OutcomeKind.UNKNOWN if reply.sent else OutcomeKind.FAIL
        return _Exchange(endpoint, sent_ns, None, None, reply.text, Answer(outcome))
    answer = parse_answer(request, reply.status, reply.text)
    return _Exchange(endpoint, sent_ns, time_ns(), reply.status, reply.text, answer)


def _account_head(account: AccountStatus) -> str:
    """The lines of a request's head that are the same for all of an account's."""
    return (
        f"Host: elson\r\nAccept: */*\r\nAPCA-API-KEY-ID: {account.key_id}\r\n"
        f"APCA-API-SECRET-KEY: {account.secret_key}\r\n"
    )


def _http_request(request: Request, head: str) -> bytes:
    match request.action:
        case Action.PLACE:
            body = msgspec.json.encode(_order_body(request))
            length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            return f"POST /v2/orders HTTP/1.1\r\n{head}{length}\r\n".encode() + body
        case Action.CANCEL:
            return f"DELETE /v2/orders/{request.order_id} HTTP/1.1\r\n{head}\r\n".encode()
        case Action.ORDER:
            return f"GET /v2/orders/{request.order_id} HTTP/1.1\r\n{head}\r\n".encode()
        case Action.OPEN_ORDERS:
            return f"GET /v2/orders?status=open&limit={MOST_LISTED} HTTP/1.1\r\n{head}\r\n".encode()
        case Action.POSITIONS:
            return f"GET /v2/positions HTTP/1.1\r\n{head}\r\n".encode()
        case _:
            assert_never(request.action)


def _order_body(request: Request) -> dict[str, str | None]:
    body: dict[str, str | None] = {
        "symbol": request.symbol,
        "qty": None if request.quantity is None else str(request.quantity),
        "side": request.side,
        "type": request.order_type,
        "time_in_force": request.time_in_force,
        "client_order_id": request.client_order_id,
    }
    prices = {"limit_price": request.limit_price_micros, "stop_price": request.stop_price_micros}
    for name, micros in {**prices, "notional": request.notional_micros}.items():
        if micros is not None:
            body[name] = decimal_text(micros)
    return body


def _order_answer(body: _OrderBody) -> OrderAnswer:
    return OrderAnswer(
        order_id=body.id,
        client_order_id=body.client_order_id,
        side=body.side,
        status=body.status,
        quantity=_shares(body.qty),
        filled_quantity=_shares(body.filled_qty),
        limit_price_micros=None if body.limit_price is None else micros_of(float(body.limit_price)),
        average_price_micros=None if body.filled_avg_price is None else micros_of(float(body.filled_avg_price)),
    )


def _shares(text: str) -> int:
    """Whole shares, rounded down. Raises InvalidOperation for what is no number."""
    return math.floor(Decimal(text))
