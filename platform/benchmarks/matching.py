"""How fast is the bare order book? Peer: the plainest book one would write, on the same messages in the same run."""

from __future__ import annotations

from flow import Message, PlainBook, messages
from rounds import alternate, report

from trading.core.order_book import BookSide, OrderBook
from trading.core.orders import BUY, OrderId

GOAL = 1_500_000
ROUNDS = 9


def run_plain_book(flow: list[Message]) -> tuple[int, int]:
    """(fills, shares traded)"""
    book = PlainBook()
    place, cancel = book.place, book.cancel
    for order_id, is_buy, price_micros, quantity in flow:
        if quantity:
            place(order_id, is_buy, price_micros, quantity)
        else:
            cancel(order_id)
    return book.fills, book.volume


def run_order_book(flow: list[Message]) -> tuple[int, int]:
    """(fills, shares traded)"""
    bids, asks = OrderBook().sides[BUY]
    resting: dict[OrderId, tuple[BookSide, int]] = {}
    trades, volume = 0, 0
    for order_id, is_buy, price_micros, quantity in flow:
        if not quantity:
            side, price_micros = resting.pop(order_id)
            side.remove(order_id, price_micros)
            continue
        own, opposite = (bids, asks) if is_buy else (asks, bids)
        for maker_id, _, filled, leaves in opposite.take(quantity, price_micros):
            trades += 1
            volume += filled
            quantity -= filled
            if not leaves:
                del resting[maker_id]
        if quantity:
            own.add(order_id, price_micros, quantity)
            resting[order_id] = (own, price_micros)
    return trades, volume


def main() -> None:
    flow = messages()
    trades, volume = run_plain_book(flow)
    assert run_order_book(flow) == (trades, volume), "the two books disagree"
    print(f"{len(flow):,} messages, {trades:,} fills of {volume:,} shares")

    def order_book() -> int:
        run_order_book(flow)
        return len(flow)

    def plain_book() -> int:
        run_plain_book(flow)
        return len(flow)

    rates = alternate({"order book": order_book, "plain book": plain_book}, ROUNDS)
    report("matching", unit="messages/s", goal=GOAL, rates=rates)


if __name__ == "__main__":
    main()
