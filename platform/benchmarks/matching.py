"""How fast is the bare order book? Peers: matching engines from PyPI and the plainest book, on the same messages."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice

from flow import TICK_MICROS, Message, again_and_again, messages
from peers import Peer, RunsBourse, RunsLightMatchingEngine, RunsPlainBook, RunsPyOrderBook
from rounds import Contender, alternate, report

from trading.core.order_book import BookSide, OrderBook
from trading.core.orders import BUY, MICROS_PER_SHARE

GOAL = 1_500_000
ROUNDS = 7
HISTORY = 10
PEERS: dict[str, Callable[[], Peer]] = {
    "bourse": RunsBourse,
    "plain book": RunsPlainBook,
    "lightmatchingengine": RunsLightMatchingEngine,
    "pyorderbook": RunsPyOrderBook,
}
LEAST = {"bourse": 0.8, "lightmatchingengine": 5.0, "pyorderbook": 5.0}


def run_order_book(flow: list[Message]) -> tuple[int, int]:
    """(fills, micro-shares traded)"""
    bids, asks = OrderBook().sides[BUY]
    resting: dict[int, tuple[BookSide, int]] = {}
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


def in_ticks_and_shares(message: Message) -> Message:
    price_ticks, shares = message.price_micros // TICK_MICROS, message.quantity // MICROS_PER_SHARE
    return message._replace(price_micros=price_ticks, quantity=shares)


def contender(make: Callable[[], Peer], flow: list[Message]) -> Contender:
    def run() -> int:
        make().run(flow)
        return len(flow)

    return run


def checked(peer: Peer, flow: list[Message], expected: tuple[int, int]) -> None:
    peer.run(flow)
    assert peer.outcome() == expected, f"{type(peer).__name__} got {peer.outcome()}, the order book {expected}"


def main() -> None:
    flow = messages()
    theirs = [in_ticks_and_shares(message) for message in flow]
    trades, volume = run_order_book(flow)
    print(f"{len(flow):,} messages, {trades:,} fills of {volume // MICROS_PER_SHARE:,} shares")
    for make in PEERS.values():
        checked(make(), theirs, (trades, volume // MICROS_PER_SHARE))
    long_flow = list(chain.from_iterable(islice(again_and_again(flow), HISTORY)))

    def order_book() -> int:
        run_order_book(flow)
        return len(flow)

    def longer() -> int:
        run_order_book(long_flow)
        return len(long_flow)

    contenders = {"order book": order_book}  # beside it those that take as long
    contenders |= {name: contender(make, theirs) for name, make in PEERS.items()}
    contenders[f"itself on {HISTORY} x the messages"] = longer
    report("matching", unit="messages/s", goal=GOAL, rates=alternate(contenders, ROUNDS), least=LEAST)


if __name__ == "__main__":
    main()
