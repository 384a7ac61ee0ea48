"""The same seed is the same day, byte for byte; another trader changes nobody's stream."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulator.days.loader import find_day
from simulator.days.recorder import TABLES
from simulator.days.simulation import Simulation
from simulator.days.streams import generator
from simulator.days.summary import summarize, write_summary
from simulator.tests.days.floor import a_day

NOISE = {"kind": "noise", "count": 3, "arrivals": {"kind": "poisson", "per_s": 0.1}}
MAKER = {"kind": "maker", "arrivals": {"kind": "poisson", "per_s": 0.5}, "shares": 10_000}


def bytes_of(name: str, seed: int, folder: Path) -> dict[str, bytes]:
    simulation = Simulation(find_day(name).day, seed, folder)
    write_summary(folder, summarize(name, simulation, simulation.run()))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    once, again, other = (
        bytes_of("maker-outage", seed, tmp_path / run) for seed, run in ((3, "a"), (3, "b"), (4, "c"))
    )
    assert once.keys() == {*(f"{table}.parquet" for table in TABLES), "summary.json"}
    assert once == again
    assert all(once[f"{table}.parquet"] != other[f"{table}.parquet"] for table in ("orders", "trades", "quotes"))


def test_a_day_played_in_steps_is_the_day_played_at_once(tmp_path: Path) -> None:
    day = a_day(NOISE, MAKER, worth={"volatility_pct": 1.0})
    whole, stepped = Simulation(day, 1, tmp_path / "whole"), Simulation(day, 1, tmp_path / "stepped")
    whole.run()
    for minute in range(601, 661):
        stepped.advance(minute * 60 * 10**9)
    stepped.run()
    for table in TABLES:
        assert pq.read_table(tmp_path / "whole" / f"{table}.parquet").equals(
            pq.read_table(tmp_path / "stepped" / f"{table}.parquet")
        )


def test_another_trader_leaves_the_times_sides_and_sizes_of_the_rest_alone() -> None:
    few = Simulation(a_day(NOISE), 5)
    more = Simulation(a_day(MAKER, NOISE, {**NOISE, "count": 2}), 5)
    for name in ("noise-AAA-1", "noise-AAA-3"):
        one, other = (next(d for d in s.marketplace.desks if d.name == name) for s in (few, more))
        assert one.latency == other.latency
        assert [one.stream.uniform() for _ in range(100)] == [other.stream.uniform() for _ in range(100)]


def test_a_larger_group_leaves_the_later_ones_of_its_kind_alone() -> None:
    small, large = (Simulation(a_day({**NOISE, "count": count}, NOISE, MAKER), 5) for count in (1, 2))
    later = small.marketplace.desks[1:]
    assert len({desk.name for desk in large.marketplace.desks}) == 6
    for one, other in zip(later, large.marketplace.desks[2:], strict=True):
        assert (one.name, one.latency) == (other.name, other.latency)
        assert [one.stream.uniform() for _ in range(100)] == [other.stream.uniform() for _ in range(100)]


@pytest.mark.parametrize("seed", [0, 7, 2**32, 2**63 - 1, 2**130])
def test_a_generator_is_that_of_the_seed_with_the_name_as_its_spawn_key(seed: int) -> None:
    sequence = np.random.SeedSequence(seed, spawn_key=tuple(b"noise-AAA-1"))
    assert generator(seed, "noise-AAA-1").random() == np.random.default_rng(sequence).random()


def test_a_day_leaves_no_cycles_for_the_collector_which_rests_meanwhile() -> None:
    Simulation(a_day(NOISE, MAKER), 1).run()  # what is made once, with the first day
    assert gc.isenabled()
    simulation = Simulation(a_day(NOISE, MAKER, worth={"volatility_pct": 1.0}), 1)
    gc.collect()
    gc.disable()  # else it would look as soon as the day is over, and tell nobody
    try:
        simulation.run()
        found = gc.collect()
    finally:
        gc.enable()
    assert sum(desk.requests for desk in simulation.marketplace.desks) > 1_000
    assert found < 500


def test_a_day_of_the_most_that_its_words_allow_goes_to_its_end_and_is_recorded(tmp_path: Path) -> None:
    arrivals = {"kind": "poisson", "per_s": 0.5}
    wild: list[dict[str, Any]] = [
        {"kind": "noise", "median_shares": 1e9, "size_sigma": 5, "distance_ticks": 10**9},
        {"kind": "value", "median_shares": 1e9, "size_sigma": 5, "error_bp": 1e9, "edge_bp": 1e9},
        {"kind": "retail", "median_dollars": 1e9, "size_sigma": 5},
        {"kind": "maker", "quote_shares": 10**9, "size_sigma": 5, "gamma": 1e9, "k": 1e-9},
        {"kind": "ladder", "shares_first": 10**9, "size_sigma": 5, "gap_ticks": 1e9, "growth": 1e9},
        {"kind": "execution", "piece_shares": 10**9, "most_pieces": 10**9, "alpha": 0.1, "urgent": 1},
        {"kind": "auction", "median_shares": 1e9, "size_sigma": 5, "error_bp": 1e9},
    ]
    sessions = {"opening_call": "09:59", "open": "10:00", "closing_call": "10:04", "close": "10:05"}
    groups = [{"arrivals": arrivals, "count": 3, **group} for group in wild]
    day = a_day(*groups, NOISE, MAKER, sessions=sessions, worth={"jumps_per_day": 10_000, "jump_pct": 50})
    assert Simulation(day, 1, tmp_path).run().balance
    assert pq.read_table(tmp_path / "orders.parquet").num_rows > 1_000


def test_wealth_is_sampled_at_the_end_and_adds_up(tmp_path: Path) -> None:
    simulation = Simulation(a_day(NOISE, MAKER, worth={"volatility_pct": 1.0}), 2, tmp_path)
    books = simulation.run()
    wealth = pq.read_table(tmp_path / "wealth.parquet").to_pandas()
    last = wealth[wealth.at_ns == wealth.at_ns.max()].drop_duplicates("trader")
    assert last.cash_micros.sum() == books.brought_cash - books.fees
    assert last.shares_micros.sum() == books.brought_shares["AAA"]
