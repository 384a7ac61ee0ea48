"""What a record shows, as arrays: prices on a grid, orders that took, spreads over time, depth, counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from simulator.facts.evidence import Floats
from trading.core.orders import NS_PER_S


class RecordError(Exception):
    """The folder is no record of a day, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One symbol's continuous trading. ``step_s``: of the grid of ``returns`` (of the middle's logarithm)."""

    symbol: str
    step_s: float
    returns: Floats
    volumes: Floats  # per step, shares
    signs: Floats  # +1 or -1 for each order that took, in order of time
    taken: Floats  # its micro-shares
    responses: Floats  # the signed move of the middle from before it to before the next one, in ticks
    takers_per_minute: Floats
    spreads: Floats  # in ticks, of each quote
    spread_durations: Floats  # how long it held, in seconds
    best_depth: Floats  # at each sample, both sides
    deeper_depth: Floats  # the mean of levels four to six
    placed: int
    canceled: int
    trades: int


def symbols_of(folder: Path) -> list[str]:
    """Raises RecordError."""
    return sorted(set(_table(folder, "traders")["symbol"]))


def observe(folder: Path, symbol: str, *, step_s: float = 10.0, tick_micros: int = 10_000) -> Observed:
    """Raises RecordError."""
    quotes, trades, orders, depth = (
        _of(_table(folder, name), symbol) for name in ("quotes", "trades", "orders", "depth")
    )
    quotes = quotes[quotes.bid_micros.notna() & quotes.ask_micros.notna() & (quotes.bid_micros < quotes.ask_micros)]
    trades = trades[~trades.auction]
    if quotes.empty or trades.empty:
        raise RecordError(f"{folder}: {symbol} has no continuous trading with quotes on both sides")
    times, mids = quotes.at_ns.to_numpy(), ((quotes.bid_micros + quotes.ask_micros) / 2).to_numpy(dtype=float)
    first_ns, last_ns = int(times[0]), int(trades.at_ns.iloc[-1])
    grid = np.arange(first_ns, last_ns, int(step_s * NS_PER_S))
    takers = _takers(trades, times, mids, tick_micros)
    spreads = ((quotes.ask_micros - quotes.bid_micros) / tick_micros).to_numpy(dtype=float)
    best, deeper = _depth(depth, grid[0], grid[-1])
    return Observed(
        symbol=symbol,
        step_s=step_s,
        returns=np.diff(np.log(_at(times, mids, grid))),
        volumes=_binned(trades.at_ns.to_numpy(), trades.quantity.to_numpy(dtype=float) / 1e6, grid),
        signs=takers.sign.to_numpy(dtype=float),
        taken=takers.quantity.to_numpy(dtype=float),
        responses=takers.response.to_numpy(dtype=float),
        takers_per_minute=_binned(
            takers.at_ns.to_numpy(), np.ones(len(takers)), np.arange(first_ns, last_ns, 60 * NS_PER_S)
        ),
        spreads=spreads[:-1],
        spread_durations=np.diff(times) / NS_PER_S,
        best_depth=best,
        deeper_depth=deeper,
        placed=int((orders.action == "place").sum()),
        canceled=int(((orders.action == "cancel") & (orders.outcome == "ok")).sum()),
        trades=len(takers),
    )


def _takers(trades: pd.DataFrame, times: Floats, mids: Floats, tick_micros: int) -> pd.DataFrame:
    """One row for each order that took, whatever number of fills it had."""
    grouped = trades.groupby(["taker", "taker_number", "at_ns"], sort=False)
    takers = grouped.agg(quantity=("quantity", "sum"), side=("taker_side", "first")).reset_index()
    takers = takers.sort_values("at_ns", kind="stable").reset_index(drop=True)
    takers["sign"] = np.where(takers.side == "buy", 1.0, -1.0)
    before = _at(times, mids, takers.at_ns.to_numpy() - 1)
    following = np.append(before[1:], mids[-1])
    takers["response"] = takers.sign * (following - before) / tick_micros
    return takers


def _depth(depth: pd.DataFrame, first_ns: int, last_ns: int) -> tuple[Floats, Floats]:
    depth = depth[(depth.at_ns >= first_ns) & (depth.at_ns <= last_ns)]
    by_level = depth.groupby(["at_ns", "level"]).quantity.sum().unstack("level")
    if not {0, 3, 4, 5} <= set(by_level.columns):
        return np.array([]), np.array([])
    by_level = by_level.fillna(0)
    return by_level[0].to_numpy(dtype=float), by_level[[3, 4, 5]].mean(axis=1).to_numpy(dtype=float)


def _at(times: Floats, values: Floats, moments: Floats) -> Floats:
    """The latest value at each moment; the first one before there was any."""
    places = np.searchsorted(times, moments, side="right") - 1
    return np.asarray(values[np.maximum(places, 0)])


def _binned(times: Floats, amounts: Floats, grid: Floats) -> Floats:
    return np.asarray(np.histogram(times, bins=grid, weights=amounts)[0])


def _of(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return table[table.symbol == symbol]


def _table(folder: Path, name: str) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(folder / f"{name}.parquet").to_pandas()
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder}: {name}.parquet cannot be read: {error}") from error
    return table
