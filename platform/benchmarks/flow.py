"""The order flow of the matching benchmarks, and the plainest book that can process it: the peer to beat.

200,000 messages for one symbol from one seed: 54 % limit orders that rest, 38 % cancels of a resting order, 8 %
limit orders that trade at once, upon a book of 10,000 orders, whose arrival is part of the flow.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from trading.core.orders import MICROS_PER_SHARE

TICK_MICROS = 10_000
MIDDLE_TICKS = 10_000
STARTING_ORDERS = 10_000
MESSAGES = 200_000
SEED = 7


class Message(NamedTuple):
    """A new limit order, or with quantity 0 the cancel of the one with this id. Ids are 1, 2, 3...; micro-shares."""

    order_id: int
    is_buy: bool
    price_micros: int
    quantity: int


class PlainBook:
    """Dicts, ordered dicts and lazily cleaned heaps of prices; only the bare matching."""

    def __init__(self) -> None:
        self.levels: tuple[dict[int, OrderedDict[int, int]], ...] = ({}, {})  # asks, bids; key best = least
        self.heaps: tuple[list[int], list[int]] = ([], [])
        self.resting: dict[int, tuple[bool, int]] = {}
        self.fills = 0
        self.volume = 0

    def cancel(self, order_id: int) -> None:
        is_buy, key = self.resting.pop(order_id)
        del self.levels[is_buy][key][order_id]

    def place(self, order_id: int, is_buy: bool, price: int, quantity: int) -> None:
        levels, heap = self.levels[not is_buy], self.heaps[not is_buy]
        limit = price if is_buy else -price
        while quantity and heap and heap[0] <= limit:
            queue = levels[heap[0]]
            while quantity and queue:
                maker_id, available = next(iter(queue.items()))
                filled = min(quantity, available)
                quantity -= filled
                self.fills += 1
                self.volume += filled
                if filled == available:
                    del queue[maker_id], self.resting[maker_id]
                else:
                    queue[maker_id] = available - filled
            if not queue:
                del levels[heappop(heap)]
        if quantity:
            self._rest(order_id, is_buy, -price if is_buy else price, quantity)

    def _rest(self, order_id: int, is_buy: bool, key: int, quantity: int) -> None:
        queue = self.levels[is_buy].get(key)
        if queue is None:
            queue = self.levels[is_buy][key] = OrderedDict()
            heappush(self.heaps[is_buy], key)
        queue[order_id] = quantity
        self.resting[order_id] = (is_buy, key)


def messages(number: int = MESSAGES) -> list[Message]:
    """The same list for the same number, always; a plain book runs along to know what can be canceled."""
    chance = random.Random(SEED)
    book = PlainBook()
    made: list[Message] = []
    candidates: list[int] = []
    for message in _messages(chance, book, candidates, number):
        made.append(message)
        if message.quantity:
            book.place(*message)
            candidates.append(message.order_id)
        else:
            book.cancel(message.order_id)
    return made


def again_and_again(flow: list[Message]) -> Iterator[list[Message]]:
    """The flow without end, with new ids each time; what is left of it is canceled before it starts again."""
    book = PlainBook()
    for message in flow:
        if message.quantity:
            book.place(*message)
        else:
            book.cancel(message.order_id)
    once = [*flow, *(Message(order_id, False, 0, 0) for order_id in book.resting)]
    last_id = max(message.order_id for message in flow)
    for time in count():
        yield [Message(message[0] + last_id * time, *message[1:]) for message in once]


def _messages(chance: random.Random, book: PlainBook, candidates: list[int], number: int) -> Iterator[Message]:
    order_id = 0
    for position in range(STARTING_ORDERS + number):
        kind = chance.random() if position >= STARTING_ORDERS else 0.0
        canceled = _pick(chance, book, candidates) if 0.54 <= kind < 0.92 else None
        if canceled is not None:
            yield Message(canceled, False, 0, 0)
            continue
        order_id += 1
        is_buy = chance.random() < 0.5
        distance_ticks = min(1 + int(chance.expovariate(1 / 15)), 200)
        offset_ticks = -distance_ticks if kind < 0.92 else 5  # away from the middle, or five ticks beyond it
        quantity = 100 * chance.randint(1, 5) * (1 if kind < 0.92 else 3)
        price_ticks = MIDDLE_TICKS + (offset_ticks if is_buy else -offset_ticks)
        yield Message(order_id, is_buy, price_ticks * TICK_MICROS, quantity * MICROS_PER_SHARE)


def _pick(chance: random.Random, book: PlainBook, candidates: list[int]) -> int | None:
    """Removes and returns a random order that still rests."""
    while candidates:
        place = chance.randrange(len(candidates))
        candidates[place], candidates[-1] = candidates[-1], candidates[place]
        order_id = candidates.pop()
        if order_id in book.resting:
            return order_id
    return None
