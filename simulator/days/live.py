"""A day in real time against the platform: what the simulated traders ask for is asked of the platform, too.

The traders live in the simulation, so the same seed intends the same orders in either market. The simulation runs a
little ahead; each request goes to the public API at the moment at which it reached the simulated exchange. What the
platform answers differently, because of its own latency and of whoever else trades there, is measured, not hidden.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from reports.records import OutcomeKind
from simulator.days.desk import Order
from simulator.days.live_report import Gap, LiveReport
from simulator.days.simulation import Simulation
from simulator.days.tape import Tape
from simulator.market.gateway import MOST_LISTED, Action, Answer, Gateway, OrderAnswer, Request
from trading.core.orders import MICROS_PER_SHARE, NS_PER_S, OPEN_STATUSES

_SLICE_S: Final = 0.2
_SETTLE_S: Final = 5.0
_POLL_S: Final = 0.2
_ROOM_POLL_S: Final = 0.005
_DOUBT_S: Final = 0.5  # between two questions whether the platform is there
_ASKED_AT_ONCE: Final = 64


@dataclass(slots=True)
class Mirrored:
    """An order on the platform. ``filled`` is what traded on arrival, in whole shares, ``filled_at_last`` what it ever
    traded; None without an answer. ``rests``: it was open when it was answered, or found so. ``cancel_waits``: until
    the platform's own id of it is known."""

    order: Order
    pure_filled: int
    order_id: str | None = None
    last_order_id: str | None = None  # stays when ``order_id`` is forgotten
    filled: int | None = None
    filled_at_last: int | None = None
    rests: bool = False
    answered: bool = False
    cancel_waits: bool = False


class LiveMarket:
    """Mirrors a simulation at ``speed`` times real time. Desks share ``accounts`` in turn when there are fewer.

    With ``max_in_flight`` requests under way the next is held back until one is answered.
    """

    def __init__(
        self,
        simulation: Simulation,
        gateway: Gateway,
        accounts: Sequence[str],
        *,
        is_ready: Callable[[], Awaitable[bool]],
        run_id: str,
        speed: float = 1.0,
        max_in_flight: int = 1_024,
        tape: Tape | None = None,
    ) -> None:
        self.report = LiveReport()
        self._simulation, self._gateway, self._accounts = simulation, gateway, accounts
        self._is_ready, self._run_id, self._speed = is_ready, run_id, speed
        self._tape, self._max_in_flight, self._in_flight = tape, max_in_flight, 0
        self._mirrored: dict[tuple[int, int], Mirrored] = {}
        self._asked: list[tuple[int, Order, Action]] = []
        self._doubtful, self._asked_at = False, 0.0
        self._first_ns = simulation.kernel.now_ns
        simulation.marketplace.listener = self._ask

    async def run(self, stop: asyncio.Event, *, until_ns: int | None = None) -> LiveReport:
        """To the end of the day, ``until_ns``, or ``stop``."""
        close_ns = self._simulation.day.sessions.close + 1
        end_ns = close_ns if until_ns is None else min(until_ns, close_ns)
        slice_ns = max(1, round(_SLICE_S * self._speed * NS_PER_S))
        began, now_ns = monotonic(), self._first_ns
        while now_ns < end_ns and not stop.is_set():
            now_ns = min(now_ns + slice_ns, end_ns)
            self._simulation.advance(now_ns)
            asked, self._asked = self._asked, []
            for at_ns, order, action in asked:
                if self._doubtful:
                    began += await self._stand_still(at_ns, stop)
                if self._in_flight >= self._max_in_flight:
                    began += await self._await_room(at_ns, stop)
                await self._wait_until(began + (at_ns - self._first_ns) / NS_PER_S / self._speed)
                self._send(at_ns, order, action)
            await self._wait_until(began + (now_ns - self._first_ns) / NS_PER_S / self._speed, counts=False)
        await self._settle()
        if not stop.is_set():
            await self._learn_the_end()
        self._compare()
        return self.report

    # -- sending -----------------------------------------------------------------------------------

    def _ask(self, order: Order, action: Action) -> None:
        self._asked.append((self._simulation.kernel.now_ns, order, action))

    async def _wait_until(self, due: float, *, counts: bool = True) -> None:
        ahead = due - monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif counts and self.report.sent % 20 == 0:
            await asyncio.sleep(0)  # a market that lags still has to hear its answers
        if counts:
            self.report.lags_s.append(max(0.0, monotonic() - due))

    def _send(self, at_ns: int, order: Order, action: Action) -> None:
        key = (order.desk.number, order.number)
        if action is Action.PLACE:
            mirrored = self._mirrored[key] = Mirrored(order, order.taken)
            self._pass_on(self._place(at_ns, order), partial(self._placed, mirrored))
        else:
            self._cancel(at_ns, self._mirrored[key])

    def _pass_on(self, request: Request, on_answer: Callable[[Answer], None]) -> None:
        self.report.sent += 1
        self._in_flight += 1
        self._gateway.send(request, on_answer)

    def _place(self, at_ns: int, order: Order) -> Request:
        special = order.special
        return Request(
            at_s=(at_ns - self._first_ns) / NS_PER_S,
            account=self._account(order),
            action=Action.PLACE,
            symbol=order.desk.listing.symbol,
            client_order_id=self._client_order_id(order),
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            quantity=order.quantity // MICROS_PER_SHARE or None,
            limit_price_micros=order.limit_micros,
            stop_price_micros=special.stop_price_micros if special else None,
            notional_micros=special.notional_micros if special else None,
        )

    def _cancel(self, at_ns: int, mirrored: Mirrored) -> None:
        """Needs the platform's own id of the order, so it waits for that to be answered, or found."""
        if mirrored.order_id is None:
            mirrored.cancel_waits = True
            self.report.late_cancels += mirrored.answered
            return
        order = mirrored.order
        request = Request(
            at_s=(at_ns - self._first_ns) / NS_PER_S,
            account=self._account(order),
            action=Action.CANCEL,
            symbol=order.desk.listing.symbol,
            client_order_id=self._client_order_id(order),
            order_id=mirrored.order_id,
        )
        self._pass_on(request, self._heard)

    def _client_order_id(self, order: Order) -> str:
        return f"{self._run_id}-{order.desk.number}-{order.number}"

    def _account(self, order: Order) -> str:
        return self._accounts[order.desk.number % len(self._accounts)]

    # -- answers -----------------------------------------------------------------------------------

    def _heard(self, answer: Answer) -> None:
        self._in_flight -= 1
        self.report.unsent += not answer.sent
        self.report.refused += answer.outcome is OutcomeKind.FAIL and answer.sent
        self.report.unknown += answer.outcome is OutcomeKind.UNKNOWN
        # A failure may be a connection that nobody answered: whoever is not sure asks before it goes on.
        self._doubtful |= answer.outcome is not OutcomeKind.OK and not answer.ruled

    def _placed(self, mirrored: Mirrored, answer: Answer) -> None:
        self._heard(answer)
        mirrored.answered = True
        if answer.outcome is OutcomeKind.OK:
            placed = answer.orders[0]
            mirrored.order_id = mirrored.last_order_id = placed.order_id
            mirrored.filled = mirrored.filled_at_last = placed.filled_quantity
            mirrored.rests = placed.status in OPEN_STATUSES
        elif answer.outcome is OutcomeKind.FAIL:
            mirrored.filled = mirrored.filled_at_last = 0
        if mirrored.cancel_waits:
            mirrored.cancel_waits = False
            self._cancel(self._simulation.kernel.now_ns, mirrored)

    # -- when the platform is away -----------------------------------------------------------------

    async def _await_room(self, at_ns: int, stop: asyncio.Event) -> float:
        """Returns how long the platform was away meanwhile, in real seconds. One that hangs answers nothing, and so
        says nothing that raises a doubt."""
        stood_s = 0.0
        while self._in_flight >= self._max_in_flight and not stop.is_set():
            stood_s += await self._stand_still(at_ns, stop)
            await asyncio.sleep(_ROOM_POLL_S)
        return stood_s

    async def _stand_still(self, at_ns: int, stop: asyncio.Event) -> float:
        """Returns how long the market waited, in real seconds; nothing when the platform is there."""
        if monotonic() - self._asked_at < _DOUBT_S:
            return 0.0
        began = self._asked_at = monotonic()
        self._doubtful = False
        before = self._tape.changes() if self._tape is not None else 0
        if await self._is_ready():
            return 0.0
        while not stop.is_set() and not await self._is_ready():
            await asyncio.sleep(_POLL_S)
        gap = Gap(at_ns, 0.0)
        if self._tape is not None and await self._tape.caught_up(within_s=_SETTLE_S):
            gap.book_changes = self._tape.changes() - before
        await self._resynchronise(gap)
        gap.seconds = monotonic() - began
        self.report.gaps.append(gap)
        return gap.seconds

    async def _resynchronise(self, gap: Gap) -> None:
        """Asks which orders are open, as the feed does not repeat an account's updates: one whose answer was lost is
        found by its client order id, and what is not among them any more is not withdrawn later."""
        known = [mirrored for mirrored in self._mirrored.values() if mirrored.order_id is not None]
        listed = await self._open_orders()
        self._find(gap, [order for orders in listed.values() for order in orders])
        # A list that is full may have left out an account's oldest.
        complete = {account for account, orders in listed.items() if len(orders) < MOST_LISTED}
        open_ids = {order.order_id for orders in listed.values() for order in orders}
        for mirrored in known:
            if self._account(mirrored.order) in complete and mirrored.order_id not in open_ids:
                gap.forgotten_orders += mirrored.order.number in mirrored.order.desk.orders
                mirrored.order_id = None

    async def _open_orders(self) -> dict[str, tuple[OrderAnswer, ...]]:
        """By account; without those that nothing was heard of in time."""
        listed: dict[str, tuple[OrderAnswer, ...]] = {}

        def heard(account: str, answer: Answer) -> None:
            if answer.outcome is OutcomeKind.OK:
                listed[account] = answer.orders

        for account in self._accounts:
            symbol = self._simulation.day.symbols[0].symbol
            request = Request(at_s=0.0, account=account, action=Action.OPEN_ORDERS, symbol=symbol)
            self._gateway.send(request, partial(heard, account))
        deadline = monotonic() + _SETTLE_S
        while len(listed) < len(self._accounts) and monotonic() < deadline:
            await asyncio.sleep(_POLL_S / 4)
        return dict(listed)

    def _find(self, gap: Gap, listed: Sequence[OrderAnswer]) -> None:
        lost = {self._client_order_id(each.order): each for each in self._mirrored.values() if each.order_id is None}
        for answer in listed:
            mirrored = lost.get(answer.client_order_id)
            if mirrored is None:
                continue
            gap.found_orders += mirrored.answered
            mirrored.order_id = mirrored.last_order_id = answer.order_id
            mirrored.rests = True
            if mirrored.cancel_waits:
                self.report.late_cancels -= mirrored.answered
                mirrored.cancel_waits = False
                self._cancel(gap.at_ns, mirrored)

    # -- the end -----------------------------------------------------------------------------------

    async def _settle(self) -> None:
        deadline = monotonic() + _SETTLE_S
        while monotonic() < deadline and not all(mirrored.answered for mirrored in self._mirrored.values()):
            await asyncio.sleep(_POLL_S / 4)

    async def _learn_the_end(self) -> None:
        """What became of the orders that rested; of one that is not told, nothing is compared."""
        left = iter([mirrored for mirrored in self._mirrored.values() if mirrored.rests])
        await asyncio.gather(*(self._ask_each(left) for _ in range(_ASKED_AT_ONCE)))

    async def _ask_each(self, left: Iterator[Mirrored]) -> None:
        for mirrored in left:
            heard: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            request = Request(
                at_s=(self._simulation.kernel.now_ns - self._first_ns) / NS_PER_S,
                account=self._account(mirrored.order),
                action=Action.ORDER,
                symbol=mirrored.order.desk.listing.symbol,
                order_id=mirrored.last_order_id,
            )
            self._gateway.send(request, heard.set_result)
            answer = await heard
            mirrored.filled_at_last = answer.orders[0].filled_quantity if answer.orders else None

    def _compare(self) -> None:
        """Of an order for a sum, what was asked for is what the simulation's exchange made of it."""
        for mirrored in self._mirrored.values():
            order = mirrored.order
            asked = max(order.quantity, order.filled) // MICROS_PER_SHARE
            if mirrored.filled is not None:
                self.report.on_arrival.add(asked, mirrored.pure_filled // MICROS_PER_SHARE, mirrored.filled)
            if mirrored.filled_at_last is not None:
                self.report.at_the_end.add(asked, order.filled // MICROS_PER_SHARE, mirrored.filled_at_last)
