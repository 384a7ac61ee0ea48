"""A day in real time against the platform: what the simulated traders ask for is asked of the platform, too.

The traders live in the simulation, so the same seed intends the same orders in either market. The simulation runs a
little ahead; each request goes to the public API at the moment at which it reached the simulated exchange. What the
platform answers differently, because of its own latency and of whoever else trades there, is measured, not hidden.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Final

import numpy as np

from reports.records import OutcomeKind
from simulator.days.desk import Order
from simulator.days.simulation import Simulation
from simulator.market.gateway import Action, Answer, Gateway, Request
from trading.core.orders import MICROS_PER_SHARE, NS_PER_S

MOST_LAG_S: Final = 1.0  # of the slowest hundredth; beyond it the market has not kept its schedule
_SLICE_S: Final = 0.2
_SETTLE_S: Final = 5.0
_POLL_S: Final = 0.2
_DOUBT_S: Final = 0.5  # between two questions whether the platform is there


@dataclass(slots=True)
class Gap:
    """The platform was not there: from when in the day's time, and for how many real seconds the market stood still."""

    at_ns: int
    seconds: float
    forgotten_orders: int = 0


@dataclass(slots=True)
class Mirrored:
    """An order on the platform. ``filled`` is what traded on arrival, in whole shares; None without an answer."""

    order: Order
    pure_filled: int
    order_id: str | None = None
    filled: int | None = None
    answered: bool = False
    cancel_waits: bool = False


@dataclass(slots=True)
class LiveReport:
    sent: int = 0
    refused: int = 0
    unknown: int = 0
    late_cancels: int = 0  # their order had no id: it was refused, or its answer never came
    lags_s: list[float] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    differences: list[int] = field(default_factory=list)  # shares filled on arrival, platform less simulation
    filled_pure: int = 0
    filled_live: int = 0

    @property
    def kept_up(self) -> bool:
        return not self.lags_s or float(np.quantile(self.lags_s, 0.99)) <= MOST_LAG_S

    def document(self) -> dict[str, Any]:
        """``distance``: 0 when every order fills alike on arrival, 1 when none has a share in common."""
        differences, lags = np.array(self.differences or [0]), np.array(self.lags_s or [0.0])
        filled = self.filled_pure + self.filled_live
        return {
            "valid": self.kept_up,
            "requests_sent": self.sent,
            "refused": self.refused,
            "unknown": self.unknown,
            "cancels_without_an_order": self.late_cancels,
            "lag_ms": {f"p{q}": round(float(np.percentile(lags, q)) * 1e3, 3) for q in (50, 99, 100)},
            "gaps": [
                {"at_ns": gap.at_ns, "seconds": round(gap.seconds, 3), "forgotten_orders": gap.forgotten_orders}
                for gap in self.gaps
            ],
            "fills": {
                "orders": len(self.differences),
                "alike": round(float((differences == 0).mean()), 4),
                "difference_shares": {
                    f"p{q}": float(np.percentile(differences, q)) for q in (1, 5, 25, 50, 75, 95, 99)
                },
                "distance": round(float(np.abs(differences).sum()) / filled, 4) if filled else 0.0,
            },
        }


class LiveMarket:
    """Mirrors a simulation at ``speed`` times real time. Desks share ``accounts`` in turn when there are fewer."""

    def __init__(
        self,
        simulation: Simulation,
        gateway: Gateway,
        accounts: Sequence[str],
        *,
        is_ready: Callable[[], Awaitable[bool]],
        run_id: str,
        speed: float = 1.0,
    ) -> None:
        self.report = LiveReport()
        self._simulation, self._gateway, self._accounts = simulation, gateway, accounts
        self._is_ready, self._run_id, self._speed = is_ready, run_id, speed
        self._mirrored: dict[tuple[int, int], Mirrored] = {}
        self._asked: list[tuple[int, Order, Action]] = []
        self._doubtful, self._asked_at = False, 0.0
        self._first_ns = simulation.kernel.now_ns
        simulation.marketplace.listener = self._ask

    async def run(self, stop: asyncio.Event, *, until_ns: int | None = None) -> LiveReport:
        """To the end of the day, ``until_ns``, or ``stop``."""
        end_ns = min(until_ns or 2**62, self._simulation.day.sessions.close + 1)
        slice_ns = max(1, round(_SLICE_S * self._speed * NS_PER_S))
        began, now_ns = monotonic(), self._first_ns
        while now_ns < end_ns and not stop.is_set():
            now_ns = min(now_ns + slice_ns, end_ns)
            self._simulation.advance(now_ns)
            asked, self._asked = self._asked, []
            for at_ns, order, action in asked:
                if self._doubtful:
                    began += await self._stand_still(at_ns, stop)
                await self._wait_until(began + (at_ns - self._first_ns) / NS_PER_S / self._speed)
                self._send(at_ns, order, action)
            await self._wait_until(began + (now_ns - self._first_ns) / NS_PER_S / self._speed, counts=False)
        await self._settle()
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
        self._gateway.send(request, on_answer)

    def _place(self, at_ns: int, order: Order) -> Request:
        special = order.special
        return Request(
            at_s=(at_ns - self._first_ns) / NS_PER_S,
            account=self._account(order),
            action=Action.PLACE,
            symbol=order.desk.listing.symbol,
            client_order_id=f"{self._run_id}-{order.desk.number}-{order.number}",
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            quantity=order.quantity // MICROS_PER_SHARE or None,
            limit_price_micros=order.limit_micros,
            stop_price_micros=special.stop_price_micros if special else None,
            notional_micros=special.notional_micros if special else None,
        )

    def _cancel(self, at_ns: int, mirrored: Mirrored) -> None:
        """Needs the platform's own id of the order, so it waits for that to be answered."""
        if mirrored.order_id is None:
            mirrored.cancel_waits = not mirrored.answered
            self.report.late_cancels += mirrored.answered
            return
        order = mirrored.order
        request = Request(
            at_s=(at_ns - self._first_ns) / NS_PER_S,
            account=self._account(order),
            action=Action.CANCEL,
            symbol=order.desk.listing.symbol,
            client_order_id=f"{self._run_id}-{order.desk.number}-{order.number}",
            order_id=mirrored.order_id,
        )
        self._pass_on(request, self._heard)

    def _account(self, order: Order) -> str:
        return self._accounts[order.desk.number % len(self._accounts)]

    # -- answers -----------------------------------------------------------------------------------

    def _heard(self, answer: Answer) -> None:
        self.report.refused += answer.outcome is OutcomeKind.FAIL
        self.report.unknown += answer.outcome is OutcomeKind.UNKNOWN
        # A refusal may be a connection that nobody answered: whoever is not sure asks before it goes on.
        self._doubtful |= answer.outcome is not OutcomeKind.OK

    def _placed(self, mirrored: Mirrored, answer: Answer) -> None:
        self._heard(answer)
        mirrored.answered = True
        if answer.outcome is OutcomeKind.OK:
            mirrored.order_id, mirrored.filled = answer.orders[0].order_id, answer.orders[0].filled_quantity
        elif answer.outcome is OutcomeKind.FAIL:
            mirrored.filled = 0
        if mirrored.cancel_waits:
            mirrored.cancel_waits = False
            self._cancel(self._simulation.kernel.now_ns, mirrored)

    # -- when the platform is away -----------------------------------------------------------------

    async def _stand_still(self, at_ns: int, stop: asyncio.Event) -> float:
        """Returns how long the market waited, in real seconds; nothing when the platform is there."""
        if monotonic() - self._asked_at < _DOUBT_S:
            return 0.0
        self._doubtful, self._asked_at = False, monotonic()
        if await self._is_ready():
            return 0.0
        began = monotonic()
        while not stop.is_set() and not await self._is_ready():
            await asyncio.sleep(_POLL_S)
        gap = Gap(at_ns, 0.0)
        await self._resynchronise(gap)
        gap.seconds = monotonic() - began
        self.report.gaps.append(gap)
        return gap.seconds

    async def _resynchronise(self, gap: Gap) -> None:
        """Asks which orders are open: what is not among them any more is not withdrawn later."""
        open_ids: set[str] = set()
        unheard = set(self._accounts)

        def listed(account: str, answer: Answer) -> None:
            unheard.discard(account)
            open_ids.update(order.order_id for order in answer.orders)

        for account in self._accounts:
            symbol = self._simulation.day.symbols[0].symbol
            request = Request(at_s=0.0, account=account, action=Action.OPEN_ORDERS, symbol=symbol)
            self._gateway.send(request, partial(listed, account))
        deadline = monotonic() + _SETTLE_S
        while unheard and monotonic() < deadline:
            await asyncio.sleep(_POLL_S / 4)
        for mirrored in self._mirrored.values() if not unheard else ():
            if mirrored.order_id is not None and mirrored.order_id not in open_ids:
                gap.forgotten_orders += mirrored.order.number in mirrored.order.desk.orders
                mirrored.order_id = None

    # -- the end -----------------------------------------------------------------------------------

    async def _settle(self) -> None:
        deadline = monotonic() + _SETTLE_S
        while monotonic() < deadline and not all(mirrored.answered for mirrored in self._mirrored.values()):
            await asyncio.sleep(_POLL_S / 4)

    def _compare(self) -> None:
        report = self.report
        for mirrored in self._mirrored.values():
            if mirrored.filled is None:
                continue
            pure = mirrored.pure_filled // MICROS_PER_SHARE
            report.differences.append(mirrored.filled - pure)
            report.filled_pure += pure
            report.filled_live += mirrored.filled
