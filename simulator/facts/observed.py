"""What a record shows, as arrays: prices on a grid, orders that took, spreads over time, depth, counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from simulator.facts.evidence import Floats
from trading.core.orders import NS_PER_S, Phase


class RecordError(Exception):
    """The folder is no record of a day, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One symbol's continuous trading; calls and halts are left out, and what lies between them is put end to end.

    ``step_s``: of the grid of ``returns`` (of the middle's logarithm; while a side is empty, of the latest middle).
    """

    symbol: str
    step_s: float
    begins_s: Floats  # when each step begins, in seconds since midnight
    returns: Floats
    volumes: Floats  # per step, shares
    signs: Floats  # +1 or -1 for each order that took, in order of time
    taken: Floats  # its micro-shares
    responses: Floats  # the signed move of the middle from before it to before the next one, in ticks
    takers_per_minute: Floats
    spreads: Floats  # in ticks, of each quote with both sides
    spread_durations: Floats  # how long it held, in seconds
    best_depth: Floats  # at each sample, both sides
    deeper_depth: Floats  # the mean of levels four to six
    placed: int  # of the whole day, as canceled
    canceled: int
    trades: int


def symbols_of(folder: Path) -> list[str]:
    """Raises RecordError."""
    return sorted(set(_table(folder, "traders")["symbol"]))


def observe(folder: Path, symbol: str, *, step_s: float = 10.0, tick_micros: int = 10_000) -> Observed:
    """Raises RecordError."""
    quotes, trades, orders, depth, happenings = (
        _of(_table(folder, name), symbol) for name in ("quotes", "trades", "orders", "depth", "happenings")
    )
    trades = trades[~trades.auction]
    last_ns = max(0, *quotes.at_ns.tail(1), *trades.at_ns.tail(1))
    spans = [
        _Span(
            held=_held(quotes, from_ns, to_ns, tick_micros),
            trades=_within(trades, from_ns, to_ns),
            depth=_within(depth, from_ns, to_ns),
            from_ns=from_ns,
            to_ns=to_ns,
        )
        for from_ns, to_ns in _continuous(happenings, last_ns)
    ]
    seen = [span.seen(step_s) for span in spans if len(span.held)]
    if not all(any(len(each[name]) for each in seen) for name in ("signs", "returns")):
        raise RecordError(f"{folder}: {symbol} has no continuous trading with quotes on both sides")
    joined = {name: np.concatenate([each[name] for each in seen]) for name in seen[0]}
    return Observed(
        symbol=symbol,
        step_s=step_s,
        **joined,
        placed=int((orders.action == "place").sum()),
        canceled=int(((orders.action == "cancel") & (orders.outcome == "ok")).sum()),
        trades=len(joined["signs"]),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of continuous trading. ``held``: its quotes with both sides: from when, for how long, middle and spread
    in ticks."""

    held: pd.DataFrame
    trades: pd.DataFrame
    depth: pd.DataFrame
    from_ns: int
    to_ns: int

    def seen(self, step_s: float) -> dict[str, Floats]:
        """What ``Observed`` keeps of it."""
        held, trades, takers = self.held, self.trades, _takers(self.trades)
        grid = np.arange(held.from_ns.iloc[0], self.to_ns + 1, int(step_s * NS_PER_S))
        minutes = np.arange(self.from_ns, self.to_ns + 1, 60 * NS_PER_S)
        best, deeper = _levels(self.depth)
        return {
            "begins_s": grid[:-1] / NS_PER_S,
            "returns": np.diff(np.log(self._mid_at(grid))),
            "volumes": _binned(trades.at_ns, trades.quantity.to_numpy(dtype=float) / 1e6, grid),
            "signs": takers.sign.to_numpy(dtype=float),
            "taken": takers.quantity.to_numpy(dtype=float),
            "responses": self._responses(takers),
            "takers_per_minute": _binned(takers.at_ns, np.ones(len(takers)), minutes),
            "spreads": held.spread.to_numpy(dtype=float),
            "spread_durations": held.for_s.to_numpy(dtype=float),
            "best_depth": best,
            "deeper_depth": deeper,
        }

    def _mid_at(self, moments: Floats) -> Floats:
        """The latest middle at each moment, in ticks; the first one before there was any."""
        places = np.searchsorted(self.held.from_ns.to_numpy(), moments, side="right") - 1
        return np.asarray(self.held.mid.to_numpy()[np.maximum(places, 0)])

    def _responses(self, takers: pd.DataFrame) -> Floats:
        before = self._mid_at(takers.at_ns.to_numpy() - 1)
        following = np.append(before[1:], self.held.mid.iloc[-1])[: len(before)]
        return np.asarray(takers.sign.to_numpy() * (following - before))


def _continuous(happenings: pd.DataFrame, last_ns: int) -> list[tuple[int, int]]:
    """From when to when the symbol traded continuously; one that does not end, until ``last_ns``."""
    phases = happenings[happenings.what.isin(list(Phase))]
    times = [*phases.at_ns, last_ns]
    return [
        (since, until)
        for since, until, what in zip(times[:-1], times[1:], phases.what, strict=True)
        if what == Phase.CONTINUOUS
    ]


def _held(quotes: pd.DataFrame, from_ns: int, to_ns: int, tick_micros: int) -> pd.DataFrame:
    """The quotes with both sides that held within the span, one that began before it from its beginning."""
    since = quotes.at_ns.clip(lower=from_ns)
    until = quotes.at_ns.shift(-1, fill_value=to_ns).clip(upper=to_ns)
    bid, ask = quotes.bid_micros / tick_micros, quotes.ask_micros / tick_micros
    held = pd.DataFrame(
        {"from_ns": since, "for_s": (until - since) / NS_PER_S, "mid": (bid + ask) / 2, "spread": ask - bid}
    )
    return held[(held.for_s > 0) & (held.spread > 0)]


def _takers(trades: pd.DataFrame) -> pd.DataFrame:
    """One row for each order that took, whatever number of fills it had."""
    grouped = trades.groupby(["taker", "taker_number", "at_ns"], sort=False)
    takers = grouped.agg(quantity=("quantity", "sum"), side=("taker_side", "first")).reset_index()
    takers = takers.sort_values("at_ns", kind="stable").reset_index(drop=True)
    takers["sign"] = np.where(takers.side == "buy", 1.0, -1.0)
    return takers


def _levels(depth: pd.DataFrame) -> tuple[Floats, Floats]:
    """At each sample: what stands at the best, and the mean of levels four to six."""
    by_level = depth.groupby(["at_ns", "level"]).quantity.sum().unstack("level")
    if not {0, 3, 4, 5} <= set(by_level.columns):
        return np.array([]), np.array([])
    by_level = by_level.fillna(0)
    return by_level[0].to_numpy(dtype=float), by_level[[3, 4, 5]].mean(axis=1).to_numpy(dtype=float)


def _binned(times: pd.Series, amounts: Floats, grid: Floats) -> Floats:
    return np.asarray(np.histogram(times, bins=grid, weights=amounts)[0])


def _within(table: pd.DataFrame, from_ns: int, to_ns: int) -> pd.DataFrame:
    return table[(table.at_ns >= from_ns) & (table.at_ns <= to_ns)]


def _of(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return table[table.symbol == symbol]


def _table(folder: Path, name: str) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(folder / f"{name}.parquet").to_pandas()
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder}: {name}.parquet cannot be read: {error}") from error
    return table
