"""A day in pictures, in one file that opens offline: price, volume and halts; spread; depth; memory of signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from plotly.subplots import make_subplots

PLOTS: Final = "plots.html"
_MOST_POINTS: Final = 4_000
_LAGS: Final = 100
_NS_PER_HOUR: Final = 3_600_000_000_000


def write_plots(folder: Path) -> Path:
    """One row of pictures for each symbol. Returns the file."""
    tables = {name: _read(folder, name) for name in ("traders", "quotes", "trades", "depth", "happenings")}
    symbols = sorted(set(tables["traders"].symbol))
    titles = [f"{symbol}: {what}" for symbol in symbols for what in ("price and halts", "spread", "depth", "signs")]
    figure = make_subplots(rows=4 * len(symbols), cols=1, subplot_titles=titles, vertical_spacing=0.25 / len(titles))
    for index, symbol in enumerate(symbols):
        own = {name: table[table.symbol == symbol] for name, table in tables.items()}
        _price(figure, 4 * index + 1, own)
        _spread(figure, 4 * index + 2, own["quotes"])
        _depth(figure, 4 * index + 3, own["depth"])
        _signs(figure, 4 * index + 4, own["trades"])
    figure.update_layout(height=340 * len(titles), showlegend=False, template="plotly_white")
    path = folder / PLOTS
    figure.write_html(path, include_plotlyjs=True, div_id="day")
    return path


def _price(figure: Any, row: int, own: dict[str, pd.DataFrame]) -> None:
    trades = own["trades"]
    minutes = trades.groupby(trades.at_ns // 60_000_000_000).quantity.sum() / 1e6
    peak = float(trades.price_micros.min()) / 1e6 if len(trades) else 0.0
    shown = _thinned(trades)
    figure.add_scatter(
        x=shown.at_ns / _NS_PER_HOUR, y=shown.price_micros / 1e6, mode="lines", name="price", row=row, col=1
    )
    if len(minutes):
        room = (float(trades.price_micros.max()) / 1e6 - peak) / 4 or 0.01
        figure.add_scatter(
            x=minutes.index / 60, y=peak - room * (1 - minutes / minutes.max()), fill="none", mode="lines",
            name="volume a minute", row=row, col=1,
        )  # fmt: skip
    phases = own["happenings"][own["happenings"].what.isin(["halted", "continuous", "closed", "pre_close"])]
    hours = (phases.at_ns / _NS_PER_HOUR).tolist()
    for what, begin, end in zip(phases.what, hours, hours[1:], strict=False):
        if what == "halted":
            figure.add_vrect(x0=begin, x1=end, opacity=0.2, row=row, col=1)


def _spread(figure: Any, row: int, quotes: pd.DataFrame) -> None:
    shown = _thinned(quotes[quotes.bid_micros.notna() & quotes.ask_micros.notna()])
    spread = (shown.ask_micros - shown.bid_micros) / 1e6
    figure.add_scatter(x=shown.at_ns / _NS_PER_HOUR, y=spread, mode="lines", name="spread", row=row, col=1)


def _depth(figure: Any, row: int, depth: pd.DataFrame) -> None:
    """Levels below zero are bids."""
    if depth.empty:
        return
    level = np.where(depth.side == "buy", -1 - depth.level, 1 + depth.level)
    grid = pd.DataFrame({"level": level, "hour": depth.at_ns / _NS_PER_HOUR, "shares": depth.quantity / 1e6})
    heat = grid.pivot_table(index="level", columns="hour", values="shares", aggfunc="sum").fillna(0)
    heat = heat.iloc[:, :: max(1, heat.shape[1] // 400)]
    figure.add_heatmap(x=heat.columns, y=heat.index, z=np.log1p(heat.to_numpy()), showscale=False, row=row, col=1)


def _signs(figure: Any, row: int, trades: pd.DataFrame) -> None:
    orders = trades[~trades.auction].drop_duplicates(["taker", "taker_number"])
    signs = np.where(orders.taker_side == "buy", 1.0, -1.0)
    if len(signs) <= 2 * _LAGS or not signs.std():
        return
    signs -= signs.mean()
    power = float(signs @ signs)
    lags = range(1, _LAGS + 1)
    correlations = [float(signs[lag:] @ signs[:-lag]) / power for lag in lags]
    figure.add_scatter(x=list(lags), y=correlations, mode="lines", name="autocorrelation of signs", row=row, col=1)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:: max(1, len(table) // _MOST_POINTS)]


def _read(folder: Path, name: str) -> pd.DataFrame:
    table: pd.DataFrame = pq.read_table(folder / f"{name}.parquet").to_pandas()
    return table
