"""From where a client can resume, and what it gets instead when it comes too late; and bars, minute by minute."""

from __future__ import annotations

import json
from typing import Any

from tests.feed.test_market_view import AAA, SHARE, Floor
from trading.core.events import Traded
from trading.core.orders import BUY, NS_PER_S, SELL
from trading.feed.bars import Bars, day_start_ns
from trading.feed.books import Window
from trading.feed.market_view import MarketView
from trading.wire.market_data import MINUTE_NS, bar_of

NOON_NS = 1_800_000_000 * NS_PER_S - (1_800_000_000 * NS_PER_S) % MINUTE_NS


def view(window: Window) -> MarketView:
    return MarketView(sequence=0, epoch=1, last_records={}, open_orders=[], positions={}, window=window)


def test_what_is_replayed_is_what_was_said_byte_by_byte() -> None:
    floor, said = Floor(), []
    began = floor.book.sequence
    for number in range(10):
        broadcast = floor.place_and_hear(number % 2, (SELL, BUY)[number % 2], SHARE, 100)
        assert broadcast.book is not None
        said.append(broadcast.book.json)
    book = floor.view.books[AAA]
    assert began is not None
    for missed in range(11):
        replayed = book.after(began + missed)
        assert replayed is not None
        assert [entry.book.json for entry in replayed] == said[missed:]


def test_the_window_forgets_the_oldest_by_number_and_by_age() -> None:
    for window, kept in ((Window(messages=4), 4), (Window(age_ns=3), 4)):
        floor = Floor(view(window))
        for number in range(10):
            floor.at_ns = number + 10
            floor.place_and_hear(0, SELL, SHARE, 100)
        book = floor.view.books[AAA]
        assert len(book.after(book.sequence - kept) or ()) == kept
        assert book.after(book.sequence - kept - 1) is None
        assert book.after(book.sequence) == []
        assert book.after(book.sequence + 10**9) is None, "that is another market's number"


def trade(number: int, price: int, shares: int = 1) -> Traded:
    return Traded(number, AAA, price * 10**6, shares * SHARE, BUY, 1, 1, 0, 2, 2, 0, False)  # type: ignore[arg-type]


def told(bars: Bars, now_ns: int) -> list[tuple[str, dict[str, Any]]]:
    return [(channel, json.loads(message.json)) for channel, _, message in bars.finish(now_ns)]


def test_a_minute_is_told_once_it_is_over_and_the_day_with_it() -> None:
    bars = Bars()
    for offset_s, number, price in ((1, 1, 100), (30, 2, 103), (59, 3, 99)):
        assert told(bars, NOON_NS + offset_s * NS_PER_S) == []
        bars.add(trade(number, price), NOON_NS + offset_s * NS_PER_S)
    (minute_channel, minute), (day_channel, day) = told(bars, NOON_NS + MINUTE_NS)
    assert (minute_channel, day_channel) == ("bars", "dailyBars")
    assert [minute[name] for name in ("T", "o", "h", "l", "c", "v", "n")] == ["b", 100, 103, 99, 99, 3, 3]
    assert day["T"] == "d"
    assert told(bars, NOON_NS + 2 * MINUTE_NS) == [], "nothing was traded in that one"
    bars.add(trade(4, 110), NOON_NS + 2 * MINUTE_NS)
    _, (_, day) = told(bars, NOON_NS + 3 * MINUTE_NS)
    assert [day[name] for name in ("o", "h", "l", "c", "v", "n")] == [100, 110, 99, 110, 4, 4]


def test_a_trade_that_comes_after_its_minute_was_told_updates_that_bar() -> None:
    bars = Bars()
    bars.finish(NOON_NS)
    bars.add(trade(1, 100), NOON_NS)
    told(bars, NOON_NS + MINUTE_NS)
    bars.add(trade(2, 105), NOON_NS + MINUTE_NS - 1)
    ((channel, bar),) = told(bars, NOON_NS + MINUTE_NS + 1)
    assert (channel, bar["T"], bar["h"], bar["n"]) == ("updatedBars", "u", 105, 2)
    assert told(bars, NOON_NS + MINUTE_NS + 2) == []


def test_bars_loaded_from_the_tables_go_on_as_if_all_had_been_seen() -> None:
    whole, parts = Bars(), []
    for number in range(1, 10):
        at_ns = NOON_NS + number * 20 * NS_PER_S
        whole.finish(at_ns)
        whole.add(trade(number, 100 + number % 4), at_ns)
        parts.append(bar_of(trade(number, 100 + number % 4), at_ns - at_ns % MINUTE_NS))
    loaded = Bars.loaded(parts)
    end_ns = NOON_NS + 10 * MINUTE_NS
    assert told(loaded, end_ns) == told(whole, end_ns) != []


def test_a_day_begins_at_midnight_utc() -> None:
    june = 1_781_535_600  # 15 June 2026, 15:00 UTC
    assert (june * NS_PER_S - day_start_ns(june * NS_PER_S)) // NS_PER_S == 15 * 3_600
