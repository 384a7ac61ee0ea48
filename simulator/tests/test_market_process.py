"""The market as a process of its own, trading over real sockets."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from reports.records import OutcomeKind, read_table
from reports.rows import Operation
from simulator.tests.exchange_server import ExchangeServer
from trading.core.orders import MICROS_PER_SHARE, AccountId, Side
from trading.wire.orders import order_uuid

LIMIT_S = 60


async def test_a_market_trades_through_the_api_and_records_every_operation_once(tmp_path: Path) -> None:
    exchange = ExchangeServer()
    async with serving(exchange, tmp_path) as status:
        code, output = await run(status, tmp_path, "--duration", "4")
    assert code == 0
    rows = recorded(tmp_path)
    assert [row.operation_id for row in rows] == list(range(len(rows)))
    assert {row.source for row in rows} == {"market"}
    assert {row.kind for row in rows} == {"place", "cancel", "read"}
    acknowledged = [row for row in rows if row.kind == "place" and row.outcome is OutcomeKind.OK]
    accounts = {number: name for name, number in exchange.account_ids.items()}
    for row in acknowledged:
        account_id, client_order_id = AccountId(row.account_id), row.client_order_id or ""
        assert client_order_id.startswith(accounts[account_id])
        order_id = exchange.exchange.known_order(account_id, client_order_id)
        assert order_id is not None
        assert row.order_id == order_uuid(order_id)
        assert row.quantity is not None
        assert row.quantity % MICROS_PER_SHARE == 0 < row.quantity
    assert exchange.exchange.last_order_id == len(acknowledged) > 40
    assert exchange.exchange.last_trade_id > 0
    closed = json.loads(output.splitlines()[-1])
    assert closed["event"] == "market closed"
    assert closed["operations"] == len(rows)
    assert closed["lateness"]["steps"] > 0


async def test_a_market_survives_an_outage_of_the_api_and_quotes_again(tmp_path: Path) -> None:
    async def cut_for_a_while(request: web.Request) -> web.StreamResponse | None:
        if 100 <= len(exchange.requests) < 160:
            assert request.transport is not None
            request.transport.abort()
        return None

    exchange = ExchangeServer(cut_for_a_while)
    async with serving(exchange, tmp_path) as status:
        code, _ = await run(status, tmp_path, "--duration", "8")
    assert code == 0
    rows = recorded(tmp_path)
    unknown = [row.operation_id for row in rows if row.outcome is OutcomeKind.UNKNOWN]
    assert len(unknown) >= 40
    maker = exchange.account_ids["maker-AAA"]
    after = [row for row in rows if row.operation_id > max(unknown) and row.account_id == maker]
    assert any(row.kind == "place" and row.outcome is OutcomeKind.OK for row in after)
    # Nothing was sent twice: not by the market, and not by its HTTP library when a connection was cut.
    deletes = Counter(path for method, path in exchange.requests if method == "DELETE")
    assert sum(deletes.values()) == sum(row.kind == "cancel" for row in rows)
    assert len(exchange.requests) - 1 == len(rows)


async def test_a_stopped_market_cancels_nothing_and_finishes_its_record(tmp_path: Path) -> None:
    exchange = ExchangeServer()
    async with serving(exchange, tmp_path) as status:
        process = await start(status, tmp_path)
        while len(exchange.requests) < 80:
            assert process.returncode is None
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0
    assert (tmp_path / "operations-market.parquet").exists()
    assert len(recorded(tmp_path)) == len(exchange.requests) - 1  # the first asked whether the api is ready
    book = exchange.exchange.book(exchange.exchange.symbols()[0])
    assert book.levels(Side.BUY)
    assert book.levels(Side.SELL)


async def test_without_an_api_the_market_gives_up_with_one_line(tmp_path: Path) -> None:
    exchange = ExchangeServer()
    async with serving(exchange, tmp_path) as status:
        pass
    code, output = await run(status, tmp_path, "--patience", "0.5")
    assert code == 1
    assert output.startswith("market: no api was ready within 0.5 s (http://127.0.0.1:")
    assert len(output.splitlines()) == 1


async def test_a_status_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text('{"stack_id": "x"}')
    code, output = await run(status, tmp_path)
    assert code == 2
    assert output.startswith(f"market: {status}: not a stack's status: owner_pid: ")
    assert len(output.splitlines()) == 1


@asynccontextmanager
async def serving(exchange: ExchangeServer, folder: Path) -> AsyncIterator[Path]:
    """The status file of a stack whose api is ``exchange``."""
    async with TestServer(exchange.app(), host="127.0.0.1") as server:
        status = folder / "status.json"
        status.write_text(exchange.status(str(server.make_url(""))).model_dump_json(by_alias=True))
        yield status


async def start(status: Path, record: Path, *more: str) -> asyncio.subprocess.Process:
    arguments = ["--status", str(status), "--record", str(record), "--seed", "7", *more]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator.market",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def run(status: Path, record: Path, *more: str) -> tuple[int | None, str]:
    process = await start(status, record, *more)
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return process.returncode, output.decode()


def recorded(folder: Path) -> list[Operation]:
    rows = msgspec.convert(read_table(folder, "operations-market").to_pylist(), list[Operation])
    return sorted(rows, key=lambda row: row.operation_id)
