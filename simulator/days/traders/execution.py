"""Institutions: parent orders worked off in small pieces by TWAP, VWAP or a share of the volume (POV).

Parents of very different sizes, split, are why the signs of orders have a long memory: sizes with P(N > n) ~ n^−α make
the signs' autocorrelation decay as τ^−(α−1) (Lillo, Mike and Farmer, Theory for long memory in supply and demand,
Phys. Rev. E 71 (2005) 066122). The schedules: Almgren and Chriss, J. Risk 3 (2000) 5; Kissell, The Science of
Algorithmic Trading (2013).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simulator.days.desk import MONEY_REASONS, Change, Desk, Order
from simulator.days.model import Chance, Count, Group, Moment, Seconds, Shares, Sigma, Words
from trading.core.orders import BUY, MAX_QUANTITY, MICROS_PER_SHARE, NS_PER_S, SELL, Side, TimeInForce

Style = Literal["twap", "vwap", "pov"]


class Parent(Words):
    """A parent order of the day's script."""

    at: Moment
    side: Side
    shares: Shares
    style: Style
    over_s: Seconds = 1_800.0


class ExecutionGroup(Group):
    """Each trader works on one parent at a time: those of ``parents``, and between them random ones, of Pareto sizes
    from ``least_pieces`` times ``piece_shares`` on with index ``alpha``, after pauses of ``pause_s``.

    A parent whose time comes while another is worked off waits for its end. One is given up only for want of cash or
    shares; what is refused for another reason is asked for again.

    A piece takes at most what stands at the best price; ``urgent`` ones sweep on. ``participation``: of the volume,
    for POV.
    """

    kind: Literal["execution"]
    styles: Annotated[tuple[Style, ...], Field(min_length=1)] = ("twap", "vwap", "pov")
    random_parents: bool = True
    alpha: Annotated[float, Field(ge=0.1, le=100)] = 1.5
    least_pieces: Count = 4
    most_pieces: Count = 3_000
    piece_shares: Shares = 60
    size_sigma: Sigma = 0.6
    piece_s: Seconds = 12.0  # market seconds between the pieces of a random parent
    pause_s: Seconds = 60.0
    participation: Chance = 0.1
    urgent: Chance = 0.0
    parents: tuple[Parent, ...] = ()

    def trader(self, desk: Desk) -> Execution:
        return Execution(self)


class Execution:
    """``done`` of ``total`` micro-shares of the present parent are filled, and ``_asked`` for."""

    in_calls = False

    def __init__(self, options: ExecutionGroup) -> None:
        self._options = options
        self._script = sorted(options.parents, key=lambda parent: parent.at, reverse=True)
        self.side: Side = BUY
        self.style: Style = "twap"
        self.total = self.done = 0
        self._asked = 0
        self._began_ns = self._over_ns = 0
        self._began_volume = 0
        self._idle_until_s = 0.0

    def act(self, desk: Desk) -> None:
        if self.done < self.total or (not self._asked and self._next_parent(desk)):
            self._work(desk)

    def _next_parent(self, desk: Desk) -> bool:
        if self._script and self._script[-1].at <= desk.now_ns:
            self._begin(desk, self._script.pop())
            return True
        return self._find_parent(desk)

    def _begin(self, desk: Desk, parent: Parent) -> None:
        self.side, self.style, self.total, self.done = parent.side, parent.style, parent.shares * MICROS_PER_SHARE, 0
        self._began_ns, self._over_ns = desk.now_ns, int(parent.over_s * NS_PER_S)
        self._began_volume, self._asked = desk.quote().volume, 0

    def _find_parent(self, desk: Desk) -> bool:
        """A random one, when its pause is over. The pause is of market time, as everything of the institutions."""
        options, stream = self._options, desk.stream
        now_s = desk.listing.clock.read(desk.now_ns)
        if not options.random_parents or now_s < self._idle_until_s:
            return False
        pieces = min(options.most_pieces, int(stream.pareto(options.least_pieces, options.alpha)))
        side: Side = BUY if stream.below(0.5) else SELL
        style = options.styles[stream.integer(0, len(options.styles) - 1)]
        shares = min(pieces * options.piece_shares, MAX_QUANTITY // MICROS_PER_SHARE)
        over_s = max(1.0, pieces * options.piece_s)
        self._begin(
            desk,
            Parent.model_construct(at=0, side=side, shares=shares, style=style, over_s=over_s),
        )
        return True

    def due(self, desk: Desk) -> int:
        """How many micro-shares should be filled by now."""
        passed = (desk.now_ns - self._began_ns) / self._over_ns
        match self.style:
            case "twap":
                fraction = passed
            case "vwap":
                clock = desk.listing.clock
                began_s = clock.read(self._began_ns)
                planned_s = clock.read(self._began_ns + self._over_ns) - began_s
                fraction = (clock.read(desk.now_ns) - began_s) / planned_s
            case "pov":
                traded = desk.quote().volume - self._began_volume
                return min(self.total, int(self._options.participation * traded) + self._piece())
        return min(self.total, int(self.total * fraction) + self._piece())

    def _piece(self) -> int:
        return self._options.piece_shares * MICROS_PER_SHARE

    def _work(self, desk: Desk) -> None:
        behind = (self.due(desk) - self.done - self._asked) // MICROS_PER_SHARE
        if behind < 1:
            return
        options, quote = self._options, desk.quote()
        touch = quote.touch(self.side)
        if touch is None:
            return
        size = int(desk.stream.lognormal(options.piece_shares, options.size_sigma))
        if desk.stream.below(options.urgent):
            size, reach = behind, 40
        else:
            there = quote.ask_quantity if self.side is BUY else quote.bid_quantity
            size, reach = min(size, there // MICROS_PER_SHARE), 0
        shares = max(1, min(behind, size))
        away = reach * desk.listing.tick_micros
        desk.limit(self.side, shares, touch + away if self.side is BUY else touch - away, TimeInForce.IOC)
        self._asked += shares * MICROS_PER_SHARE

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        if change is Change.FILLED:
            self.done += quantity
            self._asked = max(0, self._asked - quantity)
        elif change in (Change.ENDED, Change.REFUSED):
            self._asked = max(0, self._asked - order.leaves)
            if order.refusal in MONEY_REASONS:  # without the cash or the shares the parent cannot be finished
                self.total = self.done
        if self.done >= self.total:
            now_s = desk.listing.clock.read(desk.now_ns)
            self._idle_until_s = now_s + desk.stream.exponential(self._options.pause_s)
