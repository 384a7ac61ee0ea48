"""Latency, order of arrival, answers, halts, limits and ruin."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from simulator.days.desk import Latency
from simulator.days.simulation import Simulation
from simulator.tests.days.floor import AAA, PRICE, TICK, a_day, floor
from trading.core.orders import BUY, SELL, Phase, RejectReason, TimeInForce

MS = 1_000_000


def test_the_nearer_trader_arrives_first_though_it_asked_later() -> None:
    market = floor("noise")
    market.make_market(shares=100)
    near, far = market.desk, market.other
    near.latency, far.latency = Latency(1 * MS, 0), Latency(50 * MS, 0)
    far.limit(BUY, 100, PRICE - TICK)
    near.limit(BUY, 100, PRICE - TICK)
    market.wait()
    queue = [order.account.account_id for order in market.simulation.marketplace.exchange.open_orders(AAA, BUY)]
    assert queue[1:] == [near.account_id, far.account_id]


def test_a_trader_sees_its_fill_and_the_market_only_after_the_way_back() -> None:
    market = floor("noise")
    market.make_market()
    desk = market.desk
    desk.latency = Latency(100 * MS, 0)
    before = desk.quote()
    began_ns = desk.now_ns
    desk.limit(BUY, 10, PRICE + TICK, TimeInForce.IOC)
    market.simulation.advance(began_ns + 150 * MS)  # it has traded by now
    desk.catch_up(desk.now_ns)
    assert market.trades() == 1
    assert desk.position == 1_000_000 * 1_000_000
    assert desk.quote() == before
    market.simulation.advance(began_ns + 201 * MS)
    desk.catch_up(desk.now_ns)
    assert desk.position == 1_000_010 * 1_000_000
    assert desk.quote().volume == before.volume + 10_000_000


def test_requests_of_one_trader_arrive_in_the_order_they_were_sent() -> None:
    market = floor("noise")
    desk = market.desk
    desk.latency = Latency(MS, 20 * MS)
    orders = [desk.limit(BUY, 1, PRICE - TICK) for _ in range(50)]
    market.wait()
    ids = [order.order_id for order in orders if order is not None and order.order_id is not None]
    assert len(ids) == 50
    assert ids == sorted(ids)


def test_a_cancel_that_comes_too_late_is_refused_and_the_fill_stands() -> None:
    market = floor("noise")
    market.make_market()
    order = market.desk.limit(BUY, 10, PRICE + TICK)
    assert order is not None
    market.desk.cancel(order)
    market.wait()
    assert market.simulation.marketplace.refusals == {RejectReason.NOT_CANCELABLE: 1}
    assert market.desk.shares == 1_000_010
    assert not market.desk.orders


def test_an_accounts_own_limits_are_the_exchanges_to_enforce() -> None:
    market = floor("noise", limits={"order_shares": 5})
    market.desk.limit(BUY, 6, PRICE - TICK)
    market.wait()
    assert market.simulation.marketplace.refusals == {RejectReason.ORDER_QUANTITY_LIMIT: 1}


def test_a_trader_that_has_lost_everything_stops_and_is_reported(tmp_path: Path) -> None:
    poor = {
        "kind": "retail",
        "cash": "60",
        "shares": 0,
        "arrivals": {"kind": "poisson", "per_s": 0.2},
        "median_dollars": 50,
    }
    maker = {"kind": "maker", "cash": "1000000", "arrivals": {"kind": "poisson", "per_s": 1}}
    simulation = Simulation(a_day(poor, maker, fees={"taker_bp": 100, "maker_bp": 0}), 1, tmp_path)
    assert simulation.run().balance
    (desk,) = (desk for desk in simulation.marketplace.desks if desk.kind == "retail")
    assert desk.retired
    happenings = pq.read_table(tmp_path / "happenings.parquet").to_pandas()
    told = happenings[happenings.what == "out of money"]
    assert list(told.detail) == [desk.name]
    orders = pq.read_table(tmp_path / "orders.parquet").to_pandas()
    assert orders[orders.trader == desk.number].at_ns.max() <= told.at_ns.iloc[0]


def test_a_halt_ends_by_itself_with_an_auction() -> None:
    day = a_day(
        {"kind": "noise", "shares": 100_000, "cash": "10000000", "arrivals": {"kind": "replay", "times": ["10:59"]}},
        {"kind": "value", "shares": 100_000, "cash": "10000000", "arrivals": {"kind": "replay", "times": ["10:59"]}},
        symbols=[{"symbol": "AAA", "price": "100.00", "band_pct": 1, "halt_s": 60}],
    )
    simulation = Simulation(day, 1)
    simulation.advance(36_001 * 10**9)
    buyer, seller = simulation.marketplace.desks
    buyer.limit(BUY, 10, PRICE - 50 * TICK)
    buyer.limit(BUY, 10, PRICE - 200 * TICK)
    simulation.advance(36_002 * 10**9)
    seller.limit(SELL, 20, PRICE - 200 * TICK)
    simulation.advance(36_003 * 10**9)
    listing = simulation.marketplace.listings[AAA]
    phases = []
    for second in (36_061, 36_063):
        simulation.advance(second * 10**9)
        phases.append(listing.phase)
    assert phases == [Phase.HALTED, Phase.CONTINUOUS]
    assert listing.last_micros == PRICE - 200 * TICK
    assert simulation.run().balance
