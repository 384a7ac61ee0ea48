"""The kill switch: new orders are refused and open ones withdrawn, in one transaction and before all that waits."""

from __future__ import annotations

import asyncio

import pytest

from stack.embedded import EmbeddedStack
from tests.engine.leader import AAA, BBB, LISTED, TRADER, Leader, buy, leading, until
from trading.core.commands import EVERYBODY, CancelAll, ChangePhase, Deposit, ListInstrument, OpenAccount, SetKillSwitch
from trading.core.events import CASH, CancelReason, OrderCanceled
from trading.core.orders import AccountId, Phase, RejectReason, Symbol
from trading.engine.lanes import OverloadedError
from trading.infra.database import connect
from trading.infra.journal import read_records
from trading.wire.engine import Denied, Done

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

OTHER = AccountId(2)
CCC = Symbol("CCC")


async def two_accounts_with_orders(leader: Leader) -> None:
    """Both in AAA, the other one in BBB as well, nobody in CCC."""
    for symbol in (BBB, CCC):
        await leader.submit(ListInstrument(0, LISTED._replace(symbol=symbol)), ChangePhase(0, symbol, Phase.CONTINUOUS))
    await leader.submit(OpenAccount(0, OTHER), Deposit(0, OTHER, CASH, 10**12))
    await leader.submit(buy(), buy(), buy(account=OTHER), buy(account=OTHER, symbol=BBB))


@pytest.mark.parametrize(
    ("account", "canceled"),
    [(TRADER, {AAA: [1, 2]}), (OTHER, {AAA: [3], BBB: [4]}), (EVERYBODY, {AAA: [1, 2, 3], BBB: [4]})],
)
async def test_the_switch_and_the_cancels_it_brings_are_one_transaction(
    database: EmbeddedStack, account: AccountId, canceled: dict[str, list[int]]
) -> None:
    connection = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn()) as leader:
        await two_accounts_with_orders(leader)
        (switched,) = await leader.submit(SetKillSwitch(0, account, engaged=True))
        assert isinstance(switched, Done)
        switch, *cancels = await read_records(connection, switched.sequence - 1)
        assert switch.command == SetKillSwitch(switch.at_ns, account, engaged=True)
        assert [record.command for record in cancels] == [CancelAll(switch.at_ns, account, each) for each in canceled]
        for record, orders in zip(cancels, canceled.values(), strict=True):
            ended = [event for event in record.events if isinstance(event, OrderCanceled)]
            assert [(event.order_id, event.reason) for event in ended] == [
                (order_id, CancelReason.KILL_SWITCH) for order_id in orders
            ]
        query = "SELECT count(DISTINCT xmin::text) FROM journal WHERE sequence >= $1"
        assert await connection.fetchval(query, switched.sequence) == 1
        open_ids = await connection.fetch("SELECT order_id FROM orders WHERE status = 'new' ORDER BY order_id")
        withdrawn = {order_id for orders in canceled.values() for order_id in orders}
        assert [row["order_id"] for row in open_ids] == sorted({1, 2, 3, 4} - withdrawn)
        for trader in (TRADER, OTHER):
            (answer,) = await leader.submit(buy(account=trader))
            refused = isinstance(answer, Denied) and answer.reason is RejectReason.KILL_SWITCH
            assert refused == (account in (trader, EVERYBODY))
        await leader.submit(SetKillSwitch(0, account, engaged=False))
        assert isinstance((await leader.submit(buy(account=account or TRADER)))[0], Done)
    connection.terminate()


async def test_the_switch_overtakes_a_full_queue_of_orders(database: EmbeddedStack) -> None:
    observer = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn(), capacity=20) as leader:
        await database.freeze("postgres:standby")
        try:
            stuck = leader.submitting(buy())
            await until(lambda: observer.fetch("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
            waiting = [leader.submitting(buy()) for _ in range(20)]
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await leader.submit(buy())
            switching = leader.submitting(SetKillSwitch(0, EVERYBODY, engaged=True))
        finally:
            await database.resume("postgres:standby")
        ((first,), (switched,)) = await stuck, await switching
        assert isinstance(first, Done)
        assert switched == Done(first.sequence + 1)
        answers = [answer for task in waiting for answer in await task]
        assert {answer.reason for answer in answers if isinstance(answer, Denied)} == {RejectReason.KILL_SWITCH}
        assert len(answers) == 20
        assert leader.replica.sequence == first.sequence + 2  # with what cancels the first one
    observer.terminate()
