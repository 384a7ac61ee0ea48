"""Where a feed reads from: what a deposed leader still says in Redis does not reach it."""

from __future__ import annotations

from contextlib import aclosing

import msgspec
import pytest

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from tests.client import Client, limit_order
from trading.feed.source import JournalSource
from trading.infra import redis
from trading.infra.journal import read_records
from trading.wire.journal import JournalRecord, encode_command, encode_events, encode_record

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_record_of_an_older_epoch_is_dropped_for_the_one_in_the_journal(
    platform: EmbeddedStack, client: Client
) -> None:
    await client.place(limit_order("buy", 1, "3.00"))
    newest = await last_record(platform)
    forged = msgspec.structs.replace(newest, sequence=newest.sequence + 1, epoch=newest.epoch - 1)
    async with redis.connect(platform.redis_url) as writer, redis.connect(platform.redis_url, deadline_s=2) as reader:
        feed = JournalSource(platform.postgres_dsn(), reader, "feed:test")
        await feed.load()
        await redis.publish(writer, [(forged.sequence, encoded(forged))], after=newest.sequence)
        await client.place(limit_order("buy", 2, "3.00"))
        async with aclosing(feed.records_after(newest.sequence)) as records:
            heard = await anext(records)
    assert (heard.sequence, heard.epoch) == (forged.sequence, newest.epoch)
    assert heard == await last_record(platform)


def encoded(record: JournalRecord) -> bytes:
    return encode_record(record, encode_command(record.command), encode_events(record.events))


async def last_record(platform: EmbeddedStack) -> JournalRecord:
    async with connection(platform.postgres_dsn()) as database:
        last = await database.fetchval("SELECT max(sequence) FROM journal")
        (record,) = await read_records(database, last - 1)
        return record
