"""What waits for the next batch: two bounded lanes, one of which overtakes the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trading.core.commands import Payment, PlaceOrder, ReplaceOrder
from trading.core.orders import AccountId, OrderId
from trading.wire.engine import Answer, Submission, urgent


class OverloadedError(Exception):
    """Says why no more is taken in now; nothing of the request was."""


OrderRequest: TypeAlias = PlaceOrder | ReplaceOrder
# What was asked for under (account, client_order_id), and the order it became.
Former: TypeAlias = Mapping[tuple[AccountId, str], tuple[OrderId, OrderRequest]]
# What was paid under a reference, and the record of it.
Paid: TypeAlias = Mapping[str, tuple[int, Payment]]


@dataclass(slots=True)
class Request:
    """``former`` holds what of its client_order_ids was used so long ago that the exchange has forgotten it.

    ``paid`` holds what of its payments' references the journal knew when the request came.
    """

    submissions: list[Submission]
    answered: asyncio.Future[list[Answer]]
    former: Former = field(default_factory=dict)
    paid: Paid = field(default_factory=dict)


@dataclass(slots=True)
class Lane:
    """``commands`` counts what waits, in all requests together; it never exceeds ``capacity``."""

    capacity: int
    commands: int = 0
    _requests: deque[Request] = field(default_factory=deque)

    def add(self, request: Request) -> None:
        """Raises OverloadedError when the lane is full."""
        if self.commands + len(request.submissions) > self.capacity:
            raise OverloadedError("queue full")
        self._requests.append(request)
        self.commands += len(request.submissions)

    def take(self, limit: int) -> list[Request]:
        """The oldest requests, whole, with at most ``limit`` commands; one request always, however large."""
        taken: list[Request] = []
        while self._requests and (not taken or len(self._requests[0].submissions) <= limit):
            taken.append(self._requests.popleft())
            limit -= len(taken[-1].submissions)
            self.commands -= len(taken[-1].submissions)
        return taken


class Lanes:
    """A lane each for urgent requests and the others, so that a flood of orders can neither delay nor refuse a cancel.

    Both may fill a part of every batch, so a flood of cancels does not stop the orders either.
    """

    def __init__(self, capacity: int) -> None:
        self.urgent, self.ordinary = Lane(capacity), Lane(capacity)

    def __bool__(self) -> bool:
        return bool(self.urgent.commands or self.ordinary.commands)

    def add(self, request: Request) -> None:
        """Raises OverloadedError."""
        overtakes = all(urgent(submission.command) for submission in request.submissions)
        (self.urgent if overtakes else self.ordinary).add(request)

    def take(self, limit: int) -> list[Request]:
        """The next batch, urgent requests first, up to ``limit`` commands of each lane."""
        return [*self.urgent.take(limit), *self.ordinary.take(limit)]
