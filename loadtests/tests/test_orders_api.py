"""What a trader does about an order of which it does not know what became, against a real server."""

from __future__ import annotations

import json

from loadtests.intended import IntendedOperation, Kind
from loadtests.orders_api import OrdersApi
from loadtests.target import target_of
from loadtests.tests.order_server import OrderServer, Reply, Request, accept
from loadtests.tests.runs import status_of
from reports.records import OutcomeKind
from trading.core.orders import OrderType, Side, TimeInForce


def below_the_market(number: int, kind: Kind, replaces: str | None = None) -> IntendedOperation:
    """A buy of one share, which is what the schedule drew."""
    terms = ("AAA", Side.BUY, OrderType.LIMIT, TimeInForce.DAY, 1, -3)
    return IntendedOperation(number, 0, kind, 0, f"o-{number}", *terms, replaces)


def test_a_replacement_is_on_the_side_that_the_look_up_of_its_target_found() -> None:
    async def loses_the_answer_to_a_sale(request: Request) -> Reply:
        match request.method:
            case "POST":
                return None
            case "GET":
                found = {"id": "7", "client_order_id": "o-1", "symbol": "BBB", "side": "sell", "status": "new"}
                return 200, json.dumps(found).encode()
            case _:
                return await accept(request)

    with OrderServer(loses_the_answer_to_a_sale) as server:
        api = OrdersApi(target_of(status_of([server.url])), connections=1, deadline_s=5)
        placed = api.carry_out(below_the_market(1, Kind.PLACE))
        replaced = api.carry_out(below_the_market(2, Kind.REPLACE, "o-1"))
        api.close()
    assert placed.outcome is OutcomeKind.UNKNOWN
    assert [(request.method, request.path.partition("?")[0]) for request in server.requests] == [
        ("POST", "/v2/orders"),
        ("GET", "/v2/orders:by_client_order_id"),
        ("PATCH", "/v2/orders/7"),
    ]
    assert (replaced.outcome, replaced.operation.replaces) == (OutcomeKind.OK, "o-1")
    assert (replaced.operation.symbol, replaced.operation.side) == ("BBB", Side.SELL)
    assert replaced.operation.price_offset_ticks == 3  # above the market now, where it rests
