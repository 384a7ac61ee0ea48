"""Every day of the catalogue shows what its file says it must."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from simulator.days.loader import day_names, find_day
from simulator.tests.days.played import NS_PER_MIN, clock_s, played

SHORT_DAYS = [name for name in day_names() if name != "default"]


def test_every_day_that_the_issue_of_markets_names_is_there() -> None:
    assert set(day_names()) >= {
        *("calm", "volatile", "trending", "opening-rush", "news-jump", "flash-crash", "closing-auction", "thin"),
        *("correlated", "maker-outage", "fat-finger", "default"),
    }


@pytest.mark.parametrize("name", SHORT_DAYS)
def test_the_books_balance_to_the_micro_dollar_and_all_gain_minus_the_fees(name: str) -> None:
    books = played(name).books
    assert books.brought_cash == books.held_cash
    assert books.brought_shares == books.held_shares
    assert books.profit == -books.fees < 0


def test_a_calm_hour_stays_where_it_is_with_a_narrow_spread() -> None:
    quotes = played("calm").quotes()
    assert quotes.mid.max() / quotes.mid.min() < 1.005
    narrow = quotes[quotes.spread <= 0.0501].held_s.sum() / quotes.held_s.sum()
    assert narrow > 0.95


def test_a_volatile_hour_ranges_farther_than_a_calm_one_with_a_wider_spread() -> None:
    calm, volatile = (played(name).quotes().mid for name in ("calm", "volatile"))
    assert volatile.max() - volatile.min() > 4 * (calm.max() - calm.min())
    assert played("volatile").mean_spread() > played("calm").mean_spread()


def test_a_trend_ends_two_percent_higher() -> None:
    day = played("trending")
    assert day.mid_at(clock_s("11:00") - 1) > 1.02 * day.mid_at(clock_s("10:00") + 30)


def test_the_opening_auction_prices_the_news_and_trades_more_than_any_minute_after_it() -> None:
    trades = played("opening-rush").table("trades")
    auction = trades[trades.auction]
    later = trades[~trades.auction]
    assert auction.quantity.sum() > later.groupby(later.at_ns // NS_PER_MIN).quantity.sum().max()
    assert auction.price_micros.nunique() == 1
    assert auction.price_micros.iloc[0] / 1e6 == pytest.approx(103.0, rel=0.005)


def test_the_price_follows_news_within_a_minute_with_a_burst_of_volume() -> None:
    day, news_s = played("news-jump"), clock_s("10:30")
    before, soon, then = (day.mid_at(news_s + after_s) for after_s in (-1, 10, 60))
    assert (soon - before) / before < -0.01
    assert (then - before) / before == pytest.approx(-0.02, abs=0.003)
    trades = day.table("trades")
    minutes = trades.groupby(trades.at_ns // NS_PER_MIN).quantity.sum()
    assert minutes[int(news_s // 60)] > 2 * minutes.median()


def test_the_crash_crosses_the_band_is_halted_reopens_and_recovers() -> None:
    day, begun_s = played("flash-crash"), clock_s("10:30")
    halts, reopened = day.happened("halted"), day.happened("continuous")
    assert begun_s * 1e9 < halts[0] < (begun_s + 120) * 1e9
    assert any(halts[0] < at_ns == halts[0] + 120 * 10**9 for at_ns in reopened)
    prices = day.table("trades").set_index("at_ns").price_micros / 1e6
    before, lowest, after = day.mid_at(begun_s), prices.min(), day.mid_at(clock_s("10:59"))
    assert lowest <= 100 * (1 - 0.04) + 0.01
    assert after - lowest > 0.7 * (before - lowest)


def test_the_closing_auction_is_the_busiest_moment_and_pays_up() -> None:
    day = played("closing-auction")
    trades = day.table("trades")
    auction, before = trades[trades.auction], trades[~trades.auction]
    assert set(auction.at_ns) == {round(clock_s("16:00") * 1e9)}
    assert auction.quantity.sum() > before.groupby(before.at_ns // NS_PER_MIN).quantity.sum().max()
    assert auction.price_micros.iloc[0] > before.price_micros.iloc[-1]


def test_a_thin_market_has_few_trades_and_a_wide_spread() -> None:
    thin, calm = played("thin"), played("calm")
    assert thin.mean_spread() > 4 * calm.mean_spread()
    assert len(thin.table("trades")) < len(calm.table("trades")) / 4


def test_symbols_with_a_common_factor_move_together() -> None:
    quotes = played("correlated").quotes()
    paths = {}
    for symbol, own in quotes.groupby("symbol", observed=True):
        minutes = own.groupby(own.at_ns // NS_PER_MIN).mid.last()
        paths[symbol] = np.diff(np.log(minutes.reindex(range(600, 660)).ffill().bfill()))
    assert len(paths) == 4
    for one, other in combinations(paths.values(), 2):
        assert np.corrcoef(one, other)[0, 1] > 0.5


def test_the_spread_widens_while_the_makers_are_away_and_narrows_when_they_return() -> None:
    day, gone_s = played("maker-outage"), clock_s("10:25")
    before = day.mean_spread(gone_s - 900, gone_s)
    assert day.mean_spread(gone_s + 5, gone_s + 600) > 2 * before
    assert day.mean_spread(gone_s + 660) < 1.3 * before


def test_a_fat_finger_moves_the_price_at_once_and_not_for_long() -> None:
    day, slip_s = played("fat-finger"), clock_s("10:30")
    trades = day.table("trades")
    after = trades[(trades.at_ns >= slip_s * 1e9) & (trades.at_ns < (slip_s + 1) * 1e9)]
    before, lowest = day.mid_at(slip_s), after.price_micros.min() / 1e6
    assert lowest < 0.99 * before
    assert day.mid_at(slip_s + 300) - lowest > 0.8 * (before - lowest)
    assert day.happened("fat finger")


def test_zero_intelligence_keeps_a_spread_of_a_tick_or_two() -> None:
    quotes = played("zero-intelligence").quotes()
    narrow = quotes[quotes.spread <= 0.0201].held_s.sum() / quotes.held_s.sum()
    assert narrow > 0.6


@pytest.mark.parametrize("name", day_names())
def test_every_file_says_what_its_day_shows(name: str) -> None:
    assert find_day(name).day.shows
