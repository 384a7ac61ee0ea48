"""A real HTTP server in front of the trading core, with the public API's paths, for tests of the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from simulator.market.accounts import market_accounts
from simulator.tests.pure_market import AAA, funded_exchange
from stack.status import AccountStatus, StackStatus
from trading.core.commands import CancelOrder, Command, PlaceOrder
from trading.core.orders import MICROS_PER_SHARE, OPEN_STATUSES, OrderId, OrderType, Side, Symbol, TimeInForce
from trading.wire.feed import micros_of
from trading.wire.orders import OrderView, fold, order_id_of, public_order

Interference = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class ExchangeServer:
    """``interfere`` sees every request first and may answer or cut it; ``requests`` are (method, path) of all."""

    def __init__(self, interfere: Interference | None = None) -> None:
        self.exchange, self.account_ids = funded_exchange(market_accounts(["AAA"]))
        self.requests: list[tuple[str, str]] = []
        self._interfere = interfere
        self._orders: dict[OrderId, OrderView] = {}

    def status(self, url: str, feeds: Sequence[str] = ()) -> StackStatus:
        accounts = [
            AccountStatus(account_id=number, name=name, key_id=name, secret_key="s")
            for name, number in self.account_ids.items()
        ]
        return StackStatus(
            stack_id="test",
            owner_pid=1,
            folder="",
            control="",
            toxiproxy="",
            nodes=[],
            links=[],
            endpoints={"api": [url], "feed": list(feeds)},
            accounts=accounts,
            instruments=[AAA],
        )

    def app(self) -> web.Application:
        @web.middleware
        async def see(request: web.Request, handler: Any) -> web.StreamResponse:
            self.requests.append((request.method, request.path_qs))
            reply = await self._interfere(request) if self._interfere else None
            answered: web.StreamResponse = reply or await handler(request)
            return answered

        app = web.Application(middlewares=[see])
        app.router.add_get("/health/ready", self._ready)
        app.router.add_post("/v2/orders", self.place)
        app.router.add_get("/v2/orders", self._open_orders)
        app.router.add_get("/v2/orders/{id}", self._order)
        app.router.add_delete("/v2/orders/{id}", self._cancel)
        app.router.add_get("/v2/positions", self._positions)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def place(self, request: web.Request) -> web.Response:
        body = await request.json()
        price = body.get("limit_price")
        command = PlaceOrder(
            0,
            self._account(request),
            body["client_order_id"],
            Symbol(body["symbol"]),
            Side(body["side"]),
            OrderType(body["type"]),
            TimeInForce(body["time_in_force"]),
            int(body["qty"]) * MICROS_PER_SHARE,
            None if price is None else micros_of(float(price)),
        )
        if not self._apply(command):
            return web.json_response({"code": 42210000, "message": "refused"}, status=422)
        order_id = self.exchange.known_order(command.account_id, command.client_order_id)
        assert order_id is not None
        return web.json_response(public_order(self._orders[order_id]))

    async def _order(self, request: web.Request) -> web.Response:
        order = self._orders.get(order_id_of(request.match_info["id"]) or OrderId(0))
        if order is None or order.account_id != self._account(request):
            return web.json_response({"code": 40410000, "message": "not found"}, status=404)
        return web.json_response(public_order(order))

    async def _cancel(self, request: web.Request) -> web.Response:
        order_id = order_id_of(request.match_info["id"])
        assert order_id is not None
        if not self._apply(CancelOrder(0, self._account(request), order_id)):
            return web.json_response({"code": 42210000, "message": "refused"}, status=422)
        return web.Response(status=204)

    async def _open_orders(self, request: web.Request) -> web.Response:
        own = [order for order in self._orders.values() if order.account_id == self._account(request)]
        return web.json_response([public_order(order) for order in own if order.status in OPEN_STATUSES])

    async def _positions(self, request: web.Request) -> web.Response:
        held = sum(self.exchange.balance(self._account(request), "AAA"))
        return web.json_response([{"symbol": "AAA", "qty": f"{held // MICROS_PER_SHARE}.5"}])  # and a fraction

    def _account(self, request: web.Request) -> Any:
        return self.account_ids[request.headers["APCA-API-KEY-ID"]]

    def _apply(self, command: Command) -> bool:
        outcome = self.exchange.apply(command)
        if isinstance(outcome, list):
            fold(self._orders, outcome, sequence=self.exchange.sequence, at_ns=0)
        return isinstance(outcome, list)
