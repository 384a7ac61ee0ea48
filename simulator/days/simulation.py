"""One simulated day, from its description and a seed to its record and its books, which must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import log1p
from pathlib import Path

from simulator.days.arrivals import Replay
from simulator.days.clock import market_clock
from simulator.days.day import Day, FatFinger, Happening, News, Outage, TraderGroup
from simulator.days.desk import Desk, Order
from simulator.days.fundamental import fundamental
from simulator.days.grid import normal_draws
from simulator.days.kernel import Kernel
from simulator.days.listing import Listing
from simulator.days.marketplace import Marketplace
from simulator.days.model import LimitWords, micros
from simulator.days.recorder import Recorder
from simulator.days.streams import Stream, generator
from simulator.days.traders.clumsy import Clumsy
from trading.core.events import CASH, FEES, ROUNDING
from trading.core.orders import (
    BUY,
    MICROS_PER_SHARE,
    NS_PER_S,
    SELL,
    AccountTerms,
    Limits,
    Phase,
    Symbol,
)
from trading.wire.garbage import no_garbage_collection

_RELIEF_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Books:
    """The day's end in micro-dollars: what came in and is there, and what all traders together gained."""

    brought_cash: int
    held_cash: int  # of everybody, fees included
    fees: int
    profit: int  # of all traders, at whatever price their shares are valued
    brought_shares: dict[str, int]
    held_shares: dict[str, int]

    @property
    def balance(self) -> bool:
        conserved = self.brought_cash == self.held_cash and self.brought_shares == self.held_shares
        return conserved and self.profit == -self.fees


class Simulation:
    """``run`` to the end, or ``advance`` in steps; then ``close``."""

    def __init__(self, day: Day, seed: int, folder: Path | None = None) -> None:
        self.day, self.seed = day, seed
        sessions = day.sessions
        self.kernel = Kernel(sessions.first_ns)
        self.recorder = Recorder(folder)
        self.marketplace = Marketplace(self.kernel, self.recorder, day.fees.build())
        self._list_symbols()
        places: Counter[str] = Counter()
        for group in day.traders:
            places[group.kind] += 1
            self._admit_group(group, places[group.kind])
        self._clumsy = {desk.name: desk for desk in self._admit_clumsy()}
        self._steer()
        for desk in self.marketplace.desks:
            desk.start()

    def run(self) -> Books:
        with no_garbage_collection():  # a day leaves no cycles; the search for some would take a sixth of its time
            self.advance(self.day.sessions.close + 1)
            return self.close()

    def advance(self, until_ns: int) -> None:
        """Lets everything happen that is due before ``until_ns``."""
        self.kernel.run(until_ns)

    def close(self) -> Books:
        for desk in self.marketplace.desks:
            desk.catch_up(2**62)
        self._sample_wealth()
        self.recorder.close()
        return self.books()

    def books(self) -> Books:
        exchange = self.marketplace.exchange
        cash: Counter[int] = Counter()
        shares: Counter[str] = Counter()
        for account_id, asset, available, reserved in exchange.balances():
            if asset == CASH:
                cash[account_id] += available + reserved
            else:
                shares[asset] += available + reserved
        desks = self.marketplace.desks
        brought = sum(desk.cash_micros for desk in desks)
        fees = cash.get(FEES, 0) + cash.get(ROUNDING, 0)
        return Books(
            brought_cash=brought,
            held_cash=sum(cash.values()),
            fees=fees,
            profit=sum(cash[desk.account_id] for desk in desks) - brought,
            brought_shares={str(symbol): exchange.issued(symbol) for symbol in self.marketplace.listings},
            held_shares={str(symbol): shares[symbol] for symbol in self.marketplace.listings},
        )

    # -- before it begins --------------------------------------------------------------------------

    def _list_symbols(self) -> None:
        sessions, first_ns = self.day.sessions, self.day.sessions.first_ns
        activity, worth = self.day.activity.build(), self.day.worth.build()
        steps = -(-(sessions.close - first_ns) // NS_PER_S)
        common = normal_draws(generator(self.seed, "common factor"), steps)
        for words in self.day.symbols:
            rng = generator(self.seed, f"market of {words.symbol}")
            clock = market_clock(activity, rng, start_ns=first_ns, end_ns=sessions.close)
            value = fundamental(
                worth, micros(words.price), clock, rng=rng, common=common, steps=steps, start_ns=first_ns
            )
            self.marketplace.list(words.instrument(), value, clock)

    def _admit_group(self, group: TraderGroup, place: int) -> None:
        """``place``: among the groups of its kind. Only the later ones have it in their traders' names, so that another
        group changes nobody's name before it, and a larger one nobody's at all."""
        kind = group.kind if place == 1 else f"{group.kind}{place}"
        for listing in self.marketplace.listings.values():
            if group.symbols is not None and listing.symbol not in group.symbols:
                continue
            for number in range(1, group.count + 1):
                self._admit(group, listing, f"{kind}-{listing.symbol}-{number}")

    def _admit(self, group: TraderGroup, listing: Listing, name: str) -> None:
        stream = Stream(self.seed, name)
        desk = Desk(name, group.kind, group.arrivals.build(listing.clock), stream)
        desk.latency = group.latency.draw(stream.lognormal(1.0, group.latency.spread))
        desk.trader = group.trader(desk)
        terms = AccountTerms(limits=_limits(group.limits))
        self.marketplace.admit(
            desk, listing, cash_micros=micros(group.cash), shares_micros=group.shares_micros, terms=terms
        )

    def _admit_clumsy(self) -> Iterator[Desk]:
        """Who makes a mistake brings what it takes to pay for it."""
        for index, happening in enumerate(self.day.happenings):
            if not isinstance(happening, FatFinger):
                continue
            for symbol in happening.symbols or self.marketplace.listings:
                listing = self.marketplace.listings[Symbol(symbol)]
                name = _clumsy_name(index, listing.symbol)
                desk = Desk(name, "clumsy", Replay([]), Stream(self.seed, name))
                desk.trader = Clumsy()
                worth = 2 * happening.shares * listing.last_micros
                shares = happening.shares * MICROS_PER_SHARE if happening.side is SELL else 0
                self.marketplace.admit(desk, listing, cash_micros=worth, shares_micros=shares, terms=AccountTerms())
                yield desk

    def _steer(self) -> None:
        """What SimPy keeps: sessions, happenings, samples."""
        sessions, kernel = self.day.sessions, self.kernel
        phases = [
            (sessions.opening_call, Phase.PRE_OPEN),
            (sessions.open, Phase.CONTINUOUS),
            (sessions.closing_call, Phase.PRE_CLOSE),
            (sessions.close, Phase.CLOSED),
        ]
        for at_ns, phase in phases:
            if at_ns is not None:
                kernel.steer(at_ns, partial(self._change_phases, phase))
        for index, happening in enumerate(self.day.happenings):
            for symbol in happening.symbols or self.marketplace.listings:
                listing = self.marketplace.listings[Symbol(symbol)]
                kernel.steer(happening.at, partial(self._happen, index, happening, listing))
        samples = self.day.samples
        self._every(round(samples.depth_every_s * NS_PER_S), self._sample_depth)
        self._every(round(samples.wealth_every_s * NS_PER_S), self._sample_wealth)
        self._every(_RELIEF_NS, self.recorder.relieve)

    def _every(self, pause_ns: int, act: Callable[[], None]) -> None:
        def again() -> None:
            act()
            if self.kernel.now_ns + pause_ns <= self.day.sessions.close:
                self.kernel.steer(self.kernel.now_ns + pause_ns, again)

        self.kernel.steer(self.kernel.now_ns + pause_ns, again)

    # -- while it goes on --------------------------------------------------------------------------

    def _change_phases(self, phase: Phase) -> None:
        for symbol, listing in self.marketplace.listings.items():
            # A halt that lasts into the closing call ends in it; one that is due to end at the open does so by itself.
            if not (phase is Phase.CONTINUOUS and listing.phase is Phase.HALTED):
                self.marketplace.change_phase(symbol, phase)

    def _happen(self, index: int, happening: Happening, listing: Listing) -> None:
        match happening:
            case News():
                listing.fundamental.news.append((self.kernel.now_ns, log1p(happening.jump_pct / 100)))
                self.marketplace.tell(listing.symbol, "news", f"{happening.jump_pct:+g} %")
            case Outage():
                for desk in self._desks_of(listing, happening.traders):
                    desk.catch_up(self.kernel.now_ns)
                    desk.leave(happening.for_s * NS_PER_S)
                self.marketplace.tell(listing.symbol, "outage", f"{happening.traders} for {happening.for_s:g} s")
            case FatFinger():
                self._slip(happening, self._clumsy[_clumsy_name(index, listing.symbol)])

    def _slip(self, happening: FatFinger, desk: Desk) -> None:
        order = Clumsy().slip(desk, happening.side, happening.shares, happening.limit_pct / 100)
        self.kernel.at(self.kernel.now_ns, partial(self._tell_slip, happening, desk), order)  # once it has arrived

    def _tell_slip(self, happening: FatFinger, desk: Desk, order: Order | None) -> None:
        what, detail = "fat finger", f"{happening.side} {happening.shares} shares"
        if order is None or order.refusal is not None:
            what, detail = "fat finger refused", f"{detail}: {order.refusal if order else 'no such price'}"
        self.marketplace.tell(desk.listing.symbol, what, detail)

    def _desks_of(self, listing: Listing, kind: str) -> Iterator[Desk]:
        return (desk for desk in self.marketplace.desks if desk.listing is listing and desk.kind == kind)

    def _sample_depth(self) -> None:
        now_ns, levels = self.kernel.now_ns, self.day.samples.depth_levels
        rows, worth = self.recorder.rows["depth"], self.recorder.rows["worth"]
        for symbol, listing in self.marketplace.listings.items():
            worth.append((now_ns, symbol, listing.fundamental.micros(now_ns)))
            for side, half in ((BUY, listing.bids), (SELL, listing.asks)):
                for level, (price_micros, quantity) in zip(range(levels), half.levels(), strict=False):
                    rows.append((now_ns, symbol, side, level, price_micros, quantity))

    def _sample_wealth(self) -> None:
        exchange, rows = self.marketplace.exchange, self.recorder.rows["wealth"]
        for desk in self.marketplace.desks:
            account = exchange.venue.accounts[desk.account_id]
            held = account.holding(desk.listing.symbol)
            cash, shares = account.cash.available + account.cash.reserved, held.available + held.reserved
            equity = cash + shares * desk.listing.last_micros // MICROS_PER_SHARE
            rows.append((self.kernel.now_ns, desk.number, cash, shares, equity))


def _clumsy_name(index: int, symbol: str) -> str:
    """``index``: the place among the day's happenings."""
    return f"clumsy-{symbol}-{index + 1}"


def _limits(words: LimitWords) -> Limits:
    shares = MICROS_PER_SHARE
    return Limits(
        order_quantity=None if words.order_shares is None else words.order_shares * shares,
        open_orders=words.open_orders,
        orders_per_s=words.orders_per_s,
        position=None if words.position_shares is None else words.position_shares * shares,
    )
