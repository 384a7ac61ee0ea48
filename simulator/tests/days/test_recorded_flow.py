"""A recorded flow comes back as it was asked for, at any rate."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from simulator.days.recorded_flow import FlowError, recorded_flow
from simulator.days.simulation import Simulation
from simulator.tests.days.floor import a_day

NOISE = {"kind": "noise", "count": 3, "arrivals": {"kind": "poisson", "per_s": 0.5}}
MAKER = {"kind": "maker", "arrivals": {"kind": "poisson", "per_s": 1}}
RETAIL = {"kind": "retail", "arrivals": {"kind": "poisson", "per_s": 0.1}}
STOPS = {"kind": "stop_loss", "arrivals": {"kind": "poisson", "per_s": 0.1}}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    assert Simulation(a_day(NOISE, MAKER, RETAIL, STOPS, worth={"volatility_pct": 1}), 1, folder).run().balance
    return folder


def test_every_request_comes_in_the_order_of_arrival_with_all_its_terms(record: Path) -> None:
    simulation = Simulation(a_day(NOISE, MAKER, RETAIL, STOPS, worth={"volatility_pct": 1}), 1)
    asked: list[tuple[object, ...]] = []
    simulation.marketplace.listener = lambda order, action: asked.append(
        (
            simulation.kernel.now_ns,
            order.desk.number,
            order.number,
            action.value,
            order.side,
            order.order_type,
            order.time_in_force,
            order.quantity,
            order.limit_micros,
            order.special.stop_price_micros if order.special else None,
            order.special.notional_micros if order.special else None,
        )
    )
    simulation.run()
    first_ns = asked[0][0]
    assert isinstance(first_ns, int)
    read = [
        (
            first_ns + round(request.due_s * 1e9),
            request.trader,
            request.number,
            request.action,
            request.side,
            request.order_type,
            request.time_in_force,
            request.quantity,
            request.limit_price_micros,
            request.stop_price_micros,
            request.notional_micros,
        )
        for request in recorded_flow(record / "orders.parquet")
    ]
    assert len(read) > 5_000
    assert read == asked


def test_ten_times_the_rate_is_a_tenth_of_every_pause(record: Path) -> None:
    path = record / "orders.parquet"
    once, tenfold = list(recorded_flow(path)), list(recorded_flow(path, rate=10))
    assert [request.due_s for request in tenfold] == pytest.approx([request.due_s / 10 for request in once])
    assert all(before.due_s <= after.due_s for before, after in pairwise(tenfold))
    assert [request.number for request in once] == [request.number for request in tenfold]


def test_a_cancel_follows_the_order_that_it_names(record: Path) -> None:
    placed: set[tuple[int, int]] = set()
    cancels = 0
    for request in recorded_flow(record / "orders.parquet"):
        key = (request.trader, request.number)
        cancels += request.action == "cancel"
        assert (key in placed) == (request.action == "cancel")
        placed.add(key)
    assert cancels > 500


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_at_which_nothing_can_be_sent_is_refused_at_once(record: Path, rate: float) -> None:
    with pytest.raises(FlowError, match="should be above 0"):
        recorded_flow(record / "orders.parquet", rate)


def test_what_is_no_recorded_flow_is_refused_at_once(record: Path, tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="is no recorded flow: it has no arrived_ns, number"):
        recorded_flow(record / "wealth.parquet")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(FlowError, match="is no Parquet file"):
        recorded_flow(tmp_path / "text.parquet")
    with pytest.raises(FileNotFoundError):
        recorded_flow(tmp_path / "absent.parquet")
