"""What was found is remembered for a moment; what is not there displaces and delays nothing that is."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from trading.infra.database import DatabaseError
from trading.infra.remembered import Remembered


class Rows:
    """The edge: what a database would find, when it answers."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.asked: Counter[str] = Counter()
        self.answering = asyncio.Event()
        self.answering.set()
        self.away = False

    async def read(self, name: str) -> str | None:
        self.asked[name] += 1
        await self.answering.wait()
        if self.away:
            raise DatabaseError("away")
        return name if name in self.there else None


async def test_an_answer_is_fetched_anew_once_it_is_no_longer_fresh() -> None:
    rows = Rows("alice")
    remembered = Remembered(rows.read, fresh_s=0.05)
    assert [await remembered.get("alice") for _ in range(3)] == ["alice"] * 3
    assert rows.asked["alice"] == 1
    rows.there.clear()
    await asyncio.sleep(0.06)
    assert await remembered.get("alice") is None


async def test_all_who_ask_at_once_share_one_look() -> None:
    rows = Rows("alice")
    remembered = Remembered(rows.read)
    assert await asyncio.gather(*(remembered.get("alice") for _ in range(50))) == ["alice"] * 50
    assert rows.asked["alice"] == 1


async def test_while_the_database_is_away_answers_count_for_a_bounded_time_and_then_nobody_is_known() -> None:
    rows = Rows("alice")
    remembered = Remembered(rows.read, fresh_s=0.05, stale_s=60)
    impatient = Remembered(rows.read, fresh_s=0.05, stale_s=0.1)
    assert await remembered.get("alice") == await impatient.get("alice") == "alice"
    rows.away = True
    await asyncio.sleep(0.15)
    assert await remembered.get("alice") == "alice"
    with pytest.raises(DatabaseError):
        await impatient.get("alice")
    with pytest.raises(DatabaseError):
        await remembered.get("bob")


async def test_a_flood_of_unknown_names_displaces_nobody_who_is_known() -> None:
    rows = Rows("alice")
    remembered = Remembered(rows.read, fresh_s=60)
    await remembered.get("alice")
    for number in range(10_500):
        assert await remembered.get(f"stranger {number}") is None
    assert await remembered.get("alice") == "alice"
    assert rows.asked["alice"] == 1
    assert await remembered.get("stranger 0") is None
    assert rows.asked["stranger 0"] == 2  # it was forgotten: what is remembered of strangers is bounded


async def test_unknown_names_are_looked_up_one_at_a_time_and_too_many_are_refused() -> None:
    rows = Rows("alice")
    remembered = Remembered(rows.read, fresh_s=0)
    await remembered.get("alice")
    rows.answering.clear()
    strangers = [asyncio.create_task(remembered.get(f"stranger {number}")) for number in range(150)]
    known = asyncio.create_task(remembered.get("alice"))
    refused, _ = await asyncio.wait(strangers, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert refused
    assert sum(rows.asked.values()) == 3  # alice twice, one stranger
    rows.answering.set()
    assert await known == "alice"
    answers = await asyncio.gather(*strangers, return_exceptions=True)
    assert answers[:100] == [None] * 100
    assert all(isinstance(answer, DatabaseError) for answer in answers[100:])
