"""A day in real time against an exchange behind real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.server import ServerConnection, serve

from reports.records import OutcomeKind, read_table
from simulator.days.live import LiveMarket
from simulator.days.live_report import Comparison, LiveReport
from simulator.days.live_session import trade_live
from simulator.days.loader import DayError, check_symbols, find_day
from simulator.days.simulation import Simulation
from simulator.market.gateway import Action, Answer, OrderAnswer, Request
from simulator.tests.days.floor import a_day
from simulator.tests.exchange_server import ExchangeServer, Interference
from trading.core.orders import OrderStatus, Side
from trading.wire.feed import book_checksum

EMPTY = book_checksum([], [])
UNTIL_NS = 36_040 * 10**9
NOISE = {"kind": "noise", "count": 4, "arrivals": {"kind": "poisson", "per_s": 0.5}}
MAKER = {"kind": "maker", "arrivals": {"kind": "poisson", "per_s": 1}, "levels": 1, "size_sigma": 0.01}
DAY = a_day(MAKER, NOISE, worth={"volatility_pct": 2.0})


async def traded(
    folder: Path, exchange: ExchangeServer, speed: float, feeds: Sequence[str] = (), max_in_flight: int = 1_024
) -> tuple[Simulation, LiveReport]:
    simulation = Simulation(DAY, 1, folder)
    async with TestServer(exchange.app(), host="127.0.0.1") as server:
        status = exchange.status(str(server.make_url("")), feeds)
        report = await trade_live(
            simulation, status, folder, speed=speed, until_ns=UNTIL_NS, max_in_flight=max_in_flight
        )
    return simulation, report


def intended(rows: list[Sequence[Any]]) -> Iterator[tuple[object, ...]]:
    """What was asked for, without when."""
    return ((row[2], row[3], *row[5:11]) for row in rows)


async def test_live_and_pure_runs_of_a_seed_intend_the_same_orders_and_the_difference_of_fills_is_measured(
    tmp_path: Path,
) -> None:
    exchange = ExchangeServer()
    simulation, report = await traded(tmp_path, exchange, speed=20)
    pure = Simulation(DAY, 1)
    pure.advance(UNTIL_NS)
    assert list(intended(simulation.recorder.rows["orders"])) == list(intended(pure.recorder.rows["orders"]))
    posts = [path for method, path in exchange.requests if method == "POST"]
    placed = [row for row in pure.recorder.rows["orders"] if row[5] == "place"]
    assert len(posts) == len(placed) > 30
    document = report.document()
    for moment in ("on_arrival", "at_the_end"):
        fills = document["fills"][moment]
        assert fills["orders"] == len(placed)
        assert 0 <= fills["distance"] < 0.3
        assert fills["alike"] > 0.7
    # Makers' orders trade only after they have come: the end knows of more, and of what each really came to.
    filled = {moment: document["fills"][moment]["filled_shares"] for moment in ("on_arrival", "at_the_end")}
    assert filled["at_the_end"]["platform"] == 2 * filled["on_arrival"]["platform"] > 0
    assert filled["at_the_end"]["simulation"] == 2 * filled["on_arrival"]["simulation"] > 0
    assert document["gaps"] == []
    operations = read_table(tmp_path, "operations-market")
    assert sum(kind != "read" for kind in operations["kind"].to_pylist()) == document["requests_sent"]
    assert exchange.exchange.last_trade_id > 0


async def test_a_market_stands_still_while_the_platform_is_away_and_reports_the_gap(tmp_path: Path) -> None:
    away_s = 1.0
    began: list[float] = []

    async def vanish(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST" and not began and len(exchange.requests) > 20:
            began.append(monotonic())
        if began and monotonic() - began[0] < away_s:
            return web.json_response({"code": 50310000, "message": "away"}, status=503)
        return None

    async def feed(connection: ServerConnection) -> None:
        """A book that changes ten times a second, also while nobody answers orders, with a heartbeat each time."""
        assert [json.loads(await connection.recv())["action"] for _ in range(2)] == ["auth", "subscribe"]
        for number in count(1):
            book = {"T": "o", "S": "AAA", "e": 1, "q": number, "b": [], "a": [], "c": EMPTY, "r": number == 1}
            await connection.send(json.dumps([book, {"T": "h", "e": 1, "q": {"AAA": number}}]))
            await asyncio.sleep(0.1)

    interference: Interference = vanish
    exchange = ExchangeServer(interference)
    async with serve(feed, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        _, report = await traded(tmp_path, exchange, speed=20, feeds=[f"ws://127.0.0.1:{port}"])
    (gap,) = report.gaps
    assert gap.book_changes is not None
    assert 3 < gap.book_changes < 40
    assert 0.3 < gap.seconds < away_s + 1
    assert 36_000 * 10**9 < gap.at_ns < UNTIL_NS
    assert any(path.startswith("/v2/orders?status=open") for _, path in exchange.requests)
    assert report.refused > 0
    # Waiting does not make the rest late.
    assert max(report.lags_s[-5:]) < 0.5


async def test_a_platform_that_hangs_is_waited_for_and_loses_no_request(tmp_path: Path) -> None:
    frozen_s, began = 2.0, list[float]()

    async def freeze(request: web.Request) -> web.StreamResponse | None:
        if len(exchange.requests) > 60:
            began.append(monotonic())
            await asyncio.sleep(max(0.0, began[0] + frozen_s - monotonic()))
        return None

    exchange = ExchangeServer(freeze)
    simulation, report = await traded(tmp_path, exchange, speed=20, max_in_flight=8)
    (gap,) = report.gaps
    assert 0.9 < gap.seconds < frozen_s + 3
    assert report.unsent == 0
    posts = [path for method, path in exchange.requests if method == "POST"]
    assert len(posts) == sum(row[5] == "place" for row in simulation.recorder.rows["orders"]) > 30
    assert max(report.lags_s) < 0.75 * frozen_s  # the freeze itself makes nothing late


async def test_an_order_whose_answer_was_lost_is_found_after_the_gap_and_withdrawn_in_its_time(tmp_path: Path) -> None:
    began: list[float] = []
    lost: list[str] = []

    async def lose(request: web.Request) -> web.StreamResponse | None:
        if began and monotonic() - began[0] < 0.5:
            return web.json_response({"code": 50310000, "message": "away"}, status=503)
        if request.method == "POST" and not began and len(exchange.requests) > 20:
            placed = await exchange.place(request)
            document = json.loads(placed.body) if isinstance(placed.body, bytes) else {}
            if document.get("status") == "new":
                began.append(monotonic())
                lost.append(document["id"])
                return web.Response(status=504)
            return placed
        return None

    exchange = ExchangeServer(lose)
    _, report = await traded(tmp_path, exchange, speed=20)
    (gap,) = report.gaps
    assert gap.found_orders == 1
    assert ("DELETE", f"/v2/orders/{lost[0]}") in exchange.requests
    assert report.unknown == 1
    fills = report.document()["fills"]
    assert fills["at_the_end"]["orders"] == fills["on_arrival"]["orders"] + 1


@pytest.mark.parametrize(("listed", "gone"), [(499, True), (500, False)])
async def test_what_a_full_list_leaves_out_is_not_taken_for_gone(listed: int, gone: bool) -> None:
    class Platform:
        """Every order rests; the list has only strangers. It is away for a moment after 30 requests."""

        asked = unready = 0

        def send(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
            self.asked += 1
            orders = [resting(str(number)) for number in range(listed)]
            if request.action is not Action.OPEN_ORDERS:
                orders = [resting(request.client_order_id or request.order_id or "")]
            outcome = OutcomeKind.FAIL if self.asked == 30 else OutcomeKind.OK
            asyncio.get_running_loop().call_soon(on_answer, Answer(outcome, tuple(orders)))

        async def is_ready(self) -> bool:
            self.unready += 1
            return self.unready > 1

    platform = Platform()
    ladder = {"kind": "ladder", "arrivals": {"kind": "poisson", "per_s": 1}}
    day = a_day(ladder, worth={"volatility_pct": 2.0})
    market = LiveMarket(Simulation(day, 1), platform, ["one"], is_ready=platform.is_ready, run_id="day", speed=100)
    report = await market.run(asyncio.Event(), until_ns=UNTIL_NS)
    assert len(report.gaps) == 1
    assert (report.late_cancels > 5) == gone  # of what is taken for gone nothing is withdrawn


def resting(client_order_id: str) -> OrderAnswer:
    return OrderAnswer(
        order_id=f"id-{client_order_id}",
        client_order_id=client_order_id,
        side=Side.BUY,
        status=OrderStatus.NEW,
        quantity=1,
        filled_quantity=0,
        limit_price_micros=None,
        average_price_micros=None,
    )


async def test_an_order_that_is_refused_for_what_it_asks_raises_no_doubt_that_the_platform_is_there(
    tmp_path: Path,
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST" and len(exchange.requests) % 2:
            return web.json_response({"code": 42210000, "message": "refused"}, status=422)
        return None

    exchange = ExchangeServer(refuse)
    _, report = await traded(tmp_path, exchange, speed=20)
    assert report.refused > 15
    assert report.gaps == []
    assert not [path for _, path in exchange.requests if path == "/health/ready"]


def test_the_distance_of_fills_is_nothing_for_equal_ones_and_one_for_disjoint_ones() -> None:
    equal, disjoint, moved = Comparison(), Comparison(), Comparison()
    for number in range(100):
        equal.add(10, number % 10, number % 10)
        disjoint.add(10, 10 * (number % 2), 10 * (1 - number % 2))
        moved.add(10, 10, 10 if number < 75 else 0)
    found = [each.document() for each in (equal, disjoint, moved)]
    assert [(each["distance"], each["distribution_distance"]) for each in found] == [(0, 0), (1, 0), (0.1429, 0.25)]
    assert found[2]["difference_shares"]["p25"] == -2.5
    assert found[2]["alike"] == 0.75


def test_a_day_whose_symbol_the_platform_does_not_list_is_refused_with_its_line() -> None:
    with pytest.raises(DayError, match=r"calm.yaml:5: symbols\[0\].symbol: the platform does not list AAA, but BBB"):
        check_symbols(find_day("calm"), {"BBB"})


def test_a_market_that_is_late_or_leaves_requests_out_is_invalid_and_says_so() -> None:
    punctual, late = LiveReport(lags_s=[0.01] * 200), LiveReport(lags_s=[0.01] * 100 + [3.0] * 100)
    full = LiveReport(sent=1_000, unsent=11, lags_s=[0.01] * 200)
    assert punctual.document()["valid"] is True
    assert full.document()["valid"] is False
    assert LiveReport(sent=1_000, unsent=10).document()["valid"] is True
    assert late.document()["valid"] is False
