"""Load and subscriber against the whole platform."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest

from loadtests.command import LoadOptions, locust_command
from reports.records import OutcomeKind, read_table
from reports.rows import Operation
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import WITHOUT_BACKUPS, StackOptions
from stack.status import StackStatus
from stack.topology import Instrument, platform_topology
from trading.core.orders import MICROS_PER_DOLLAR

SYMBOLS = ("AAA", "BBB")
ACCOUNTS = 5

pytestmark = pytest.mark.stack


async def test_a_healthy_platform_leaves_no_outcome_unknown_and_the_feed_builds_its_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # its registry is not the user's
    instruments = [Instrument(symbol, 10_000, 100 * MICROS_PER_DOLLAR) for symbol in SYMBOLS]
    accounts = generate_accounts(
        ACCOUNTS, cash_micros=10**7 * MICROS_PER_DOLLAR, shares=dict.fromkeys(SYMBOLS, 100_000), name="trader"
    )
    topology = platform_topology(instruments=instruments, accounts=accounts)
    async with EmbeddedStack(topology, StackOptions(tmp_path / "logs", roles=WITHOUT_BACKUPS)) as stack:
        status = tmp_path / "status.json"
        status.write_text(stack.status().model_dump_json(by_alias=True))
        subscriber = await _subscriber(status, tmp_path)
        await _load(status, tmp_path)
        engine = await _engine_state(stack)
        subscriber.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(subscriber.wait(), 30) == 0
        rows = msgspec.convert(read_table(tmp_path, "operations-load").to_pylist(), list[Operation])
        for row in [row for row in rows if row.kind == "place" and row.outcome is OutcomeKind.OK][::20]:
            assert await _order_id_behind(stack.status(), row) == row.order_id
    assert len(rows) > 300
    assert {row.outcome for row in rows} <= {OutcomeKind.OK, OutcomeKind.FAIL}
    # The only refusals on a healthy platform: withdrawing what was filled meanwhile, taking from an empty book.
    assert {row.http_status for row in rows if row.outcome is OutcomeKind.FAIL} <= {422}
    assert {row.kind for row in rows if row.outcome is OutcomeKind.OK} == {"place", "cancel", "read", "lookup"}
    books = json.loads((tmp_path / "feed_books.json").read_bytes())
    assert {symbol: book["sequence"] for symbol, book in books.items()} == engine["symbols"]
    for symbol in SYMBOLS:
        assert books[symbol]["bids"] == engine["books"][symbol]["bids"]
        assert books[symbol]["asks"] == engine["books"][symbol]["asks"]


async def _subscriber(status: Path, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.subscriber", "--status", str(status), "--record", str(folder)
    )


async def _load(status: Path, folder: Path) -> None:
    options = LoadOptions(status=status, record=folder, seed=7, rate_per_s=100, duration_s=4, traders=ACCOUNTS)
    argv, environment = locust_command(options, os.environ)
    process = await asyncio.create_subprocess_exec(
        *argv, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()


async def _engine_state(stack: EmbeddedStack) -> dict[str, dict[str, dict[str, list[list[int]]]]]:
    (active,) = await stack.resolve("engine:active")
    async with aiohttp.ClientSession() as session, session.get(f"{stack.base_url(active.name)}/state/full") as answer:
        state: dict[str, dict[str, dict[str, list[list[int]]]]] = await answer.json()
        return state


async def _order_id_behind(status: StackStatus, row: Operation) -> str:
    """What the api that did not take the order answers for its client_order_id."""
    account = next(account for account in status.accounts if account.account_id == row.account_id)
    other = next(url for url in status.endpoints["api"] if url != row.endpoint)
    headers = {"APCA-API-KEY-ID": account.key_id, "APCA-API-SECRET-KEY": account.secret_key}
    parameters = {"client_order_id": row.client_order_id or ""}
    url = f"{other}/v2/orders:by_client_order_id"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url, params=parameters) as answer:
        return str((await answer.json())["id"])
