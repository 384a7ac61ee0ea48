"""Days of a busy market in a database, and what they left every account with, added up once more by hand."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

import asyncpg

from tests.core.flow import LIVELY, Flow
from trading.core.events import CASH, InstrumentListed, LedgerPosted, PhaseChanged, Traded
from trading.core.orders import MICROS_PER_SHARE
from trading.engine.replica import Replica
from trading.infra.journal import Batch, JournalWriter
from trading.wire.journal import JournalRecord
from trading.wire.market_data import DAY_NS

COMMANDS = 3_000
MEAN_PAUSE_NS = 100_000_000  # of the flow


async def live_through(connection: asyncpg.Connection[Any], seed: int) -> list[JournalRecord]:
    """From two days before the last midnight to just now; every kind of account, order, payment and fee."""
    flow, replica, records = Flow(Random(seed), LIVELY), Replica(), []
    now_ns = time.time_ns()
    begin_ns = at_ns = now_ns // DAY_NS * DAY_NS - 2 * DAY_NS
    pace = (now_ns - begin_ns) // (COMMANDS * MEAN_PAUSE_NS)
    writer = JournalWriter(connection, await connection.fetchval("SELECT epoch FROM leader_epoch"), 30.0)
    commands = flow.opening()
    while at_ns < now_ns:
        batch = Batch()
        for _ in range(500):
            command = commands.pop(0) if commands else flow.next()
            at_ns = begin_ns + command.at_ns * pace
            if at_ns >= now_ns:
                break
            outcome = replica.execute(command._replace(at_ns=at_ns), epoch=0, batch=batch)
            if isinstance(outcome, JournalRecord):
                records.append(outcome)
                batch.add(outcome)
                flow.saw(outcome.events)
        await writer.commit(batch)
    return records


class Naive:
    """Cash, shares and prices after the records before a moment, posting by posting."""

    def __init__(self, records: Sequence[JournalRecord], until_ns: int) -> None:
        self.holdings: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.listed: dict[str, int] = {}
        self.references: dict[str, int] = {}
        self.last: dict[str, int] = {}
        for record in records:
            if record.at_ns < until_ns:
                for event in record.events:
                    self._add(event)

    def _add(self, event: Any) -> None:
        match event:
            case LedgerPosted(debit, _, credit, _, asset, amount):
                self.holdings[debit][asset] -= amount
                self.holdings[credit][asset] += amount
            case Traded():
                self.last[event.symbol] = event.price_micros
            case InstrumentListed(instrument):
                self.listed[instrument.symbol] = instrument.reference_price_micros
                self.references[instrument.symbol] = instrument.reference_price_micros
            case PhaseChanged():
                self.references[event.symbol] = event.reference_price_micros
            case _:
                pass

    def equity(self, account_id: int, *, present: bool = False) -> int:
        unknown = self.references if present else self.listed
        total = 0
        for asset, amount in self.holdings[account_id].items():
            price = self.last.get(asset) or unknown.get(asset, 0)
            total += amount if asset == CASH else amount * price // MICROS_PER_SHARE
        return total
