"""Exactly once for money: who repeats a payment under its reference gets the first answer, also from a new leader."""

from __future__ import annotations

from typing import Final

import pytest

from stack.embedded import EmbeddedStack
from tests.engine.leader import TRADER, Leader, leading
from trading.core.commands import Deposit, OpenAccount, Payment, Transfer, Withdraw
from trading.core.events import CASH
from trading.core.orders import AccountId, RejectReason
from trading.engine.payments import PAID
from trading.engine.replica import Replica
from trading.infra.database import connect
from trading.infra.journal import read_records
from trading.wire.engine import Denied, Done

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

OTHER = AccountId(2)
PAYMENTS: Final[list[Payment]] = [
    Deposit(0, TRADER, CASH, 700, "payment-1"),
    Withdraw(0, TRADER, CASH, 700, "payment-1"),
    Transfer(0, TRADER, OTHER, CASH, 700, "payment-1"),
]


def cash(leader: Leader) -> int:
    return leader.replica.exchange.balance(TRADER, CASH)[0]


async def successor(dsn: str) -> Replica:
    """Knows what the journal holds, and nothing else."""
    connection = await connect(dsn, "test")
    replica = Replica()
    for record in await read_records(connection, 0):
        replica.exchange.apply(record.command)
    connection.terminate()
    return replica


@pytest.mark.parametrize("payment", PAYMENTS, ids=lambda payment: type(payment).__name__)
async def test_a_repeated_payment_is_answered_and_not_repeated(database: EmbeddedStack, payment: Payment) -> None:
    async with leading(database.postgres_dsn()) as leader:
        await leader.submit(OpenAccount(0, OTHER))
        first, in_the_same_request = await leader.submit(payment, payment)
        after = cash(leader)
        assert isinstance(first, Done)
        assert in_the_same_request == first
        assert await leader.submit(payment) == [first]
        assert cash(leader) == after
    async with leading(database.postgres_dsn(), replica=await successor(database.postgres_dsn())) as leader:
        assert await leader.submit(payment) == [first]
        assert cash(leader) == after


async def test_two_requests_of_one_payment_that_wait_together_are_one(database: EmbeddedStack) -> None:
    """Both are looked up before either is executed."""
    async with leading(database.postgres_dsn()) as leader:
        before = cash(leader)
        tasks = [leader.submitting(PAYMENTS[0]) for _ in range(5)]
        answers = [await task for task in tasks]
        assert answers == [answers[0]] * 5
        assert cash(leader) == before + 700


async def test_another_payment_under_the_same_reference_is_refused(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        await leader.submit(OpenAccount(0, OTHER), PAYMENTS[0])
        for other in (PAYMENTS[0]._replace(amount=701), *PAYMENTS[1:]):
            (answer,) = await leader.submit(other)
            assert isinstance(answer, Denied)
            assert answer.reason is RejectReason.ALREADY_EXISTS
        replica, after = await successor(database.postgres_dsn()), cash(leader)
    async with leading(database.postgres_dsn(), replica=replica) as leader:
        (answer,) = await leader.submit(PAYMENTS[1])
        assert isinstance(answer, Denied)
        assert cash(leader) == after


async def test_a_refused_payments_reference_may_be_used_again(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        await leader.submit(OpenAccount(0, OTHER))
        early = Withdraw(0, OTHER, CASH, 700, "payment-2")
        assert isinstance((await leader.submit(early))[0], Denied)
        await leader.submit(Deposit(0, OTHER, CASH, 700, "payment-3"))
        assert isinstance((await leader.submit(early))[0], Done)


async def test_payments_without_a_reference_are_as_many_as_were_sent(database: EmbeddedStack) -> None:
    async with leading(database.postgres_dsn()) as leader:
        before, plain = cash(leader), Deposit(0, TRADER, CASH, 5)
        assert all(isinstance(answer, Done) for answer in await leader.submit(plain, plain))
        assert isinstance((await leader.submit(plain._replace(reference="5")))[0], Done)
        assert cash(leader) == before + 15


async def test_the_look_up_of_a_reference_reads_an_index(database: EmbeddedStack) -> None:
    """Which holds the payments and no order."""
    connection = await connect(database.postgres_dsn(), "test")
    async with leading(database.postgres_dsn()):
        await connection.execute("SET enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {PAID}", ["payment-1"])
    connection.terminate()
    assert any("ix_journal_reference" in row[0] for row in plan)
