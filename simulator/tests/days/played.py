"""Days of the catalogue, played once for all tests of a process, as tables."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from simulator.days.loader import find_day
from simulator.days.simulation import Books, Simulation

NS_PER_MIN = 60_000_000_000


@dataclass(frozen=True)
class Played:
    folder: Path
    books: Books

    def table(self, name: str) -> pd.DataFrame:
        table: pd.DataFrame = pq.read_table(self.folder / f"{name}.parquet").to_pandas()
        return table

    def quotes(self) -> pd.DataFrame:
        """Those with both sides, with ``mid`` and ``spread`` in dollars, the seconds they held, and minutes."""
        quotes = self.table("quotes")
        quotes["held_s"] = quotes.at_ns.diff().shift(-1).fillna(0) / 1e9
        quotes = quotes.dropna()
        quotes["mid"] = (quotes.bid_micros + quotes.ask_micros) / 2e6
        quotes["spread"] = (quotes.ask_micros - quotes.bid_micros) / 1e6
        return quotes[quotes.spread > 0]

    def mid_at(self, seconds_after_midnight: float) -> float:
        quotes = self.quotes()
        return float(quotes[quotes.at_ns <= seconds_after_midnight * 1e9].mid.iloc[-1])

    def mean_spread(self, from_s: float = 0, to_s: float = 1e6) -> float:
        """Time-weighted, in dollars."""
        quotes = self.quotes()
        span = quotes[(quotes.at_ns >= from_s * 1e9) & (quotes.at_ns < to_s * 1e9)]
        return float((span.spread * span.held_s).sum() / span.held_s.sum())

    def happened(self, what: str) -> list[int]:
        """When, in nanoseconds after midnight."""
        happenings = self.table("happenings")
        return [int(at_ns) for at_ns in happenings[happenings.what == what].at_ns]


@cache
def played(name: str, seed: int = 1) -> Played:
    folder = Path(tempfile.mkdtemp(prefix=f"elson-day-{name}-"))
    return Played(folder, Simulation(find_day(name).day, seed, folder).run())


def clock_s(text: str) -> float:
    hours, minutes = map(int, text.split(":"))
    return hours * 3_600.0 + minutes * 60
