"""Exactly once for ever: client_order_ids that the exchange has forgotten are still known to the journal."""

from __future__ import annotations

import pytest

from stack.embedded import EmbeddedStack
from tests.engine.leader import TRADER, Leader, buy, leading
from trading.core.client_order_ids import ClientOrderIds
from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.orders import OrderId, RejectReason
from trading.engine.replica import Replica
from trading.wire.engine import Denied, Done

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

WINDOW = 5


def forgetful() -> Replica:
    replica = Replica()
    replica.exchange.venue.client_order_ids = ClientOrderIds(window=WINDOW)
    return replica


async def forget(leader: Leader, *requests: PlaceOrder | ReplaceOrder) -> None:
    await leader.submit(*(buy() for _ in range(WINDOW)))
    known = [leader.replica.exchange.known_order(TRADER, request.client_order_id) for request in requests]
    assert known == [None] * len(requests)


async def reused(leader: Leader, request: PlaceOrder | ReplaceOrder) -> bool:
    (answer,) = await leader.submit(request)
    return isinstance(answer, Denied) and answer.reason is RejectReason.CLIENT_ORDER_ID_REUSED


async def placed(leader: Leader, order: PlaceOrder) -> tuple[Done, OrderId]:
    (answer,) = await leader.submit(order)
    assert isinstance(answer, Done)
    assert answer.order is not None
    return answer, answer.order.order_id


async def test_a_retry_of_a_forgotten_order_gets_its_first_answer(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn(), replica=forgetful()) as leader:
        order = buy()
        first, _ = await placed(leader, order)
        await forget(leader, order)
        sequence = leader.replica.sequence
        assert await leader.submit(order) == [first]
        assert await reused(leader, order._replace(quantity=2 * order.quantity))
        assert leader.replica.sequence == sequence
        assert isinstance((await leader.submit(buy()))[0], Done)


async def test_a_forgotten_replacement_is_not_carried_out_again(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn(), replica=forgetful()) as leader:
        order = buy(100_000_000)
        _, order_id = await placed(leader, order)
        replacement = ReplaceOrder(0, TRADER, order_id, "replacement", limit_price_micros=99_000_000)
        first = await leader.submit(replacement)
        assert isinstance(first[0], Done)
        await forget(leader, order, replacement)
        sequence = leader.replica.sequence
        assert await leader.submit(replacement) == first
        assert await reused(leader, replacement._replace(limit_price_micros=98_000_000))
        assert await reused(leader, order._replace(client_order_id="replacement"))
        assert await reused(leader, replacement._replace(client_order_id=order.client_order_id))
        assert leader.replica.sequence == sequence


async def test_an_order_that_is_forgotten_while_its_retry_waits_is_not_accepted_twice(database: EmbeddedStack) -> None:
    """It is the oldest that is remembered when the retry is sent, and the order before the retry pushes it out."""
    async with leading(database.postgres_dsn(), replica=forgetful()) as leader:
        order = buy()
        first, _ = await placed(leader, order)
        await leader.submit(*(buy() for _ in range(WINDOW - 1)))
        assert not leader.replica.exchange.forgets
        another, again = await leader.submit(buy(), order)
        assert isinstance(another, Done)
        assert again == first


async def test_an_order_and_its_retry_in_one_request_are_one_order(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn(), replica=forgetful()) as leader:
        await leader.submit(*(buy() for _ in range(WINDOW + 1)))
        order = buy()
        first, again = await leader.submit(order, order)
        assert isinstance(first, Done)
        assert first == again
