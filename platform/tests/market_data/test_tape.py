"""Quotes and bars folded from the journal, against the exchange's own books and all trades looked at again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.events import Traded
from trading.core.orders import BUY, SELL, AccountId, OrderId, Side, Symbol, TradeId
from trading.core.state import state_of
from trading.feed.recorder import resting_in
from trading.feed.tape import Tape
from trading.wire.market_data import MINUTE_NS, Bar, BestQuote, MinuteBars, Quote, bar_fields, quote_fields
from trading.wire.snapshot import decode_open_orders, encode_snapshot

from .history import History, Print
from .naive import naive_bars, without_vw

SYMBOLS = ("AAA", "BBB", "CCC")


def shown_bars(tape: Tape, symbol: str) -> list[dict[str, object]]:
    return [bar_fields(bar) for (name, _), bar in sorted(tape.bars.items()) if name == symbol]


@pytest.mark.parametrize("seed", range(4))
def test_every_change_of_the_best_bid_and_offer_is_a_quote_and_every_minutes_trades_a_bar(seed: int) -> None:
    history, tape = History(), Tape()
    for record in history.go_on(6_000, seed):
        tape.apply(record)
    assert tape.quotes == history.quotes
    assert any(not record.quote.bid_quantity for record in tape.quotes)
    assert any(trade.auction for trade, _ in history.prints)
    for symbol in SYMBOLS:
        assert without_vw(shown_bars(tape, symbol)) == without_vw(naive_bars(history.prints, symbol, "1Min"))
    assert tape.last_trade_id == history.prints[-1].trade.trade_id


def test_a_tape_that_begins_with_a_snapshots_open_orders_goes_on_as_the_one_that_saw_it_all() -> None:
    history, tape = History(), Tape()
    for record in history.go_on(3_000):
        tape.apply(record)
    orders = decode_open_orders(encode_snapshot(state_of(history.exchange)))
    restored = Tape(tape.sequence, resting=resting_in(orders), last_trade_id=tape.last_trade_id)
    open_bars = [bar for (_, start_ns), bar in tape.bars.items() if start_ns == max(start for _, start in tape.bars)]
    tape.clear()
    restored.begin([Bar(*(getattr(bar, name) for name in Bar.__slots__)) for bar in open_bars])
    for record in history.go_on(3_000):
        tape.apply(record)
        restored.apply(record)
    assert restored.quotes == tape.quotes
    assert restored.bars == tape.bars
    assert len(tape.quotes) > 500


def trade(symbol: str, trade_id: int, price: int, quantity: int) -> Traded:
    ids = (OrderId(1), AccountId(1), 0, OrderId(2), AccountId(2), 0)
    return Traded(TradeId(trade_id), Symbol(symbol), price, quantity, BUY, *ids, auction=False)


steps = st.tuples(
    st.sampled_from(SYMBOLS),
    st.one_of(st.just(0), st.integers(1, 3 * MINUTE_NS)),
    st.integers(1, 10**12),
    st.integers(1, 10**15),
)


@given(st.lists(steps, max_size=40), st.integers(0, 10**18))
def test_minute_bars_are_all_trades_of_the_minute(drawn: list[tuple[str, int, int, int]], start_ns: int) -> None:
    minutes, finished, prints, now_ns = MinuteBars(), [], [], start_ns
    for number, (symbol, wait_ns, price, quantity) in enumerate(drawn, 1):
        now_ns += wait_ns
        prints.append(Print(trade(symbol, number, price, quantity), now_ns))
        finished += minutes.add(*prints[-1])
    finished += minutes.finish(now_ns + MINUTE_NS)
    assert minutes.finish(now_ns + MINUTE_NS) == []
    for symbol in SYMBOLS:
        own = [bar for bar in finished if bar.symbol == symbol]
        naive = naive_bars(prints, symbol, "1Min")
        shown = [bar_fields(bar) for bar in own]
        assert without_vw(shown) == without_vw(naive)
        assert all(abs(a["vw"] - b["vw"]) <= 10**-6 for a, b in zip(shown, naive, strict=True))
        ids = [print_.trade.trade_id for print_ in prints if print_.trade.symbol == symbol]
        assert [own[0].first_trade_id, own[-1].last_trade_id] == [ids[0], ids[-1]] if ids else not own


levels = st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 12), st.integers(0, 3))


@given(st.lists(levels, max_size=60))
def test_the_quote_is_the_highest_bid_and_the_lowest_offer(changes: list[tuple[Side, int, int]]) -> None:
    best, book = BestQuote(), {BUY: {}, SELL: {}}  # type: ignore[var-annotated]
    for change in changes:
        side, price, size = change
        book[side][price] = size
        before, told = best.quote, best.change([change])
        bids = [(price, size) for price, size in book[BUY].items() if size]
        asks = [(price, size) for price, size in book[SELL].items() if size]
        quote = Quote(*max(bids, default=(0, 0)), *min(asks, default=(0, 0)))
        assert best.quote == quote
        assert told == (None if quote == before else quote)


@pytest.mark.parametrize(
    ("quote", "condition"),
    [(Quote(10, 1, 11, 1), "R"), (Quote(10, 1), "Y"), (Quote(11, 1, 10, 1), "N"), (Quote(), "N")],
)
def test_a_quotes_condition_says_whether_both_sides_are_there(quote: Quote, condition: str) -> None:
    assert quote_fields(quote, 1)["c"] == [condition]


def test_the_open_minute_goes_on_with_the_bars_it_is_given() -> None:
    bar = Bar("AAA", 2 * MINUTE_NS, 10, 12, 9, 11, 5, 2, 55, 1, 2)
    minutes = MinuteBars([bar])
    assert minutes.add(trade("AAA", 3, 13, 1), 2 * MINUTE_NS + 1) == []
    assert (bar.open_micros, bar.high_micros, bar.close_micros, bar.trades) == (10, 13, 13, 3)
    assert minutes.add(trade("AAA", 4, 7, 1), 3 * MINUTE_NS) == [bar]
