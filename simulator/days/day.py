"""A day as its file describes it: symbols, sessions, what they are worth, who trades, and what happens on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from simulator.days.clock import Activity
from simulator.days.fundamental import Worth
from simulator.days.model import (
    Chance,
    Dollars,
    Moment,
    Positive,
    ReplayArrivals,
    Seconds,
    Shares,
    Symbols,
    Words,
    micros,
)
from simulator.days.traders.auction import AuctionGroup
from simulator.days.traders.execution import ExecutionGroup
from simulator.days.traders.ladder import LadderGroup
from simulator.days.traders.maker import MakerGroup
from simulator.days.traders.momentum import MomentumGroup
from simulator.days.traders.noise import NoiseGroup
from simulator.days.traders.retail import RetailGroup
from simulator.days.traders.stop_loss import StopLossGroup
from simulator.days.traders.value import ValueGroup
from simulator.days.traders.zero_intelligence import ZeroIntelligenceGroup
from trading.core.events import CASH
from trading.core.instruments import check_instrument
from trading.core.ledger import MAX_ISSUED
from trading.core.orders import (
    MAX_ORDER_VALUE_MICROS,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    NS_PER_S,
    PPM,
    FeeSchedule,
    Instrument,
    Side,
    Symbol,
)

_MOST_DOLLARS: Final = MAX_ORDER_VALUE_MICROS // MICROS_PER_DOLLAR  # of one order
Problem: TypeAlias = tuple[tuple[str | int, ...], str]

TraderGroup: TypeAlias = Annotated[
    AuctionGroup
    | ExecutionGroup
    | LadderGroup
    | MakerGroup
    | MomentumGroup
    | NoiseGroup
    | RetailGroup
    | StopLossGroup
    | ValueGroup
    | ZeroIntelligenceGroup,
    Field(discriminator="kind"),
]


class SymbolWords(Words):
    """One instrument. ``band_pct`` 0: no volatility halts."""

    symbol: str
    price: Dollars
    tick: Dollars = Decimal("0.01")
    collar_pct: Annotated[float, Field(gt=0, le=100)] = 20.0
    band_pct: Annotated[float, Field(ge=0, le=100)] = 10.0
    halt_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0

    def instrument(self) -> Instrument:
        tick = micros(self.tick)
        return Instrument(
            symbol=Symbol(self.symbol),
            tick_micros=tick,
            sub_dollar_tick_micros=min(tick, 100),
            lot=MICROS_PER_SHARE,
            reference_price_micros=micros(self.price),
            collar_ppm=round(self.collar_pct * PPM / 100),
            band_ppm=round(self.band_pct * PPM / 100),
            halt_ns=round(self.halt_s * NS_PER_S),
            fractionable=True,
        )


class Sessions(Words):
    """Orders are collected from ``opening_call`` to ``open`` and from ``closing_call`` to ``close``; without a call
    the market opens or closes at once."""

    opening_call: Moment | None = None
    open: Moment
    closing_call: Moment | None = None
    close: Moment

    @property
    def first_ns(self) -> int:
        return self.open if self.opening_call is None else self.opening_call

    def continuous(self, at_ns: int) -> bool:
        """Whether orders trade as they come, and are not collected."""
        return self.open <= at_ns < (self.closing_call or self.close)

    @model_validator(mode="after")
    def _in_order(self) -> Sessions:
        given = [at for at in (self.opening_call, self.open, self.closing_call, self.close) if at is not None]
        if sorted(set(given)) != given:
            raise ValueError("opening_call, open, closing_call and close must follow one another")
        return self


class ActivityWords(Words):
    u_shape: Annotated[float, Field(ge=1, le=50)] = 1.0
    volatility: Annotated[float, Field(ge=0, le=3)] = 0.0
    scales_s: Annotated[tuple[Positive, ...], Field(min_length=1)] = (20.0, 240.0, 2_400.0)

    def build(self) -> Activity:
        return Activity(self.u_shape, self.volatility, self.scales_s)


class WorthWords(Words):
    volatility_pct: Annotated[float, Field(ge=0, le=100)] = 1.5
    drift_pct: Annotated[float, Field(ge=-90, le=500)] = 0.0
    jumps_per_day: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    jump_pct: Annotated[float, Field(ge=0, le=50)] = 0.0
    common: Chance = 0.0

    def build(self) -> Worth:
        return Worth(
            volatility=self.volatility_pct / 100,
            drift=self.drift_pct / 100,
            jumps_per_day=self.jumps_per_day,
            jump=self.jump_pct / 100,
            common=self.common,
        )


class Fees(Words):
    """In basis points of a trade's value; a maker's may be a rebate."""

    taker_bp: Annotated[float, Field(ge=0, le=100)] = 0.3
    maker_bp: Annotated[float, Field(ge=-100, le=100)] = -0.2

    @model_validator(mode="after")
    def _paid_by_the_taker(self) -> Fees:
        if abs(self.maker_bp) > self.taker_bp:
            raise ValueError("a maker's fee or rebate cannot exceed the taker's fee")
        return self

    def build(self) -> FeeSchedule:
        return FeeSchedule(taker_ppb=round(self.taker_bp * 100_000), maker_ppb=round(self.maker_bp * 100_000))


class News(Words):
    """The asset is worth that much more or less from one moment to the next."""

    kind: Literal["news"]
    at: Moment
    jump_pct: Annotated[float, Field(gt=-90, lt=500)]
    symbols: Symbols | None = None


class Outage(Words):
    """Traders of a kind withdraw all their orders and stay away."""

    kind: Literal["outage"]
    at: Moment
    for_s: Seconds
    traders: str
    symbols: Symbols | None = None


class FatFinger(Words):
    """One order far too large: ``limit_pct`` from the last price is as far as it reaches."""

    kind: Literal["fat_finger"]
    at: Moment
    side: Side
    shares: Shares
    limit_pct: Annotated[float, Field(gt=0, lt=100)] = 15.0
    symbols: Symbols | None = None


Happening: TypeAlias = Annotated[News | Outage | FatFinger, Field(discriminator="kind")]


class Samples(Words):
    """How often the record takes samples, and how many levels deep."""

    depth_every_s: Seconds = 30.0
    depth_levels: Annotated[int, Field(ge=1, le=100)] = 10
    wealth_every_s: Seconds = 1_800.0


class Day(Words):
    title: str
    shows: Annotated[str, Field(min_length=1)]  # what this day must show; a test proves it
    symbols: Annotated[list[SymbolWords], Field(min_length=1)]
    sessions: Sessions
    activity: ActivityWords = ActivityWords()
    worth: WorthWords = WorthWords()
    fees: Fees = Fees()
    traders: Annotated[list[TraderGroup], Field(min_length=1)]
    happenings: tuple[Happening, ...] = ()
    samples: Samples = Samples()


def problems(day: Day) -> Iterator[Problem]:
    """What no single key shows."""
    known = [words.symbol for words in day.symbols]
    for index, words in enumerate(day.symbols):
        if words.symbol in known[:index]:
            yield ("symbols", index, "symbol"), f"{words.symbol} is listed twice"
        if refused := check_instrument(words.instrument()):
            yield ("symbols", index), refused.message
    for index, group in enumerate(day.traders):
        yield from _unknown_symbols(("traders", index, "symbols"), group.symbols, known)
        yield from _poor(index, group, day)
        yield from _never(index, group, day.sessions)
    yield from _too_much(day)
    kinds = {group.kind for group in day.traders}
    for index, happening in enumerate(day.happenings):
        yield from _unknown_symbols(("happenings", index, "symbols"), happening.symbols, known)
        if not day.sessions.first_ns <= happening.at < day.sessions.close:
            yield ("happenings", index, "at"), "is outside the day's sessions"
        if isinstance(happening, FatFinger):
            yield from _no_slip(index, happening, day)
        if isinstance(happening, Outage) and happening.traders not in kinds:
            yield (
                ("happenings", index, "traders"),
                f"no {happening.traders!r} trades here, but {', '.join(sorted(kinds))}",
            )


def _unknown_symbols(where: tuple[str | int, ...], symbols: list[str] | None, known: list[str]) -> Iterator[Problem]:
    for index, symbol in enumerate(symbols or ()):
        if symbol not in known:
            yield (*where, index), f"{symbol} is not listed; there are {', '.join(known)}"
        if symbol in (symbols or ())[:index]:
            yield (*where, index), f"{symbol} is named twice"


def _never(index: int, group: TraderGroup, sessions: Sessions) -> Iterator[Problem]:
    """What would silently not be done."""
    where = ("traders", index)
    if isinstance(group, ZeroIntelligenceGroup) and "arrivals" in group.model_fields_set:
        yield (*where, "arrivals"), "zero_intelligence acts at its rates, and has no other arrivals"
    elif isinstance(group.arrivals, ReplayArrivals):
        for number, at_ns in enumerate(group.arrivals.times):
            if not sessions.first_ns <= at_ns < sessions.close:
                yield (*where, "arrivals", "times", number), "is outside the day's sessions"
    for number, parent in enumerate(group.parents if isinstance(group, ExecutionGroup) else ()):
        if not sessions.continuous(parent.at):
            yield (*where, "parents", number, "at"), "is outside the day's continuous trading"


def _no_slip(index: int, happening: FatFinger, day: Day) -> Iterator[Problem]:
    """An order that the exchange is sure to refuse."""
    if not day.sessions.continuous(happening.at):
        yield ("happenings", index, "at"), "is outside the day's continuous trading"
    reach = 1 + (happening.limit_pct if happening.side is Side.BUY else -happening.limit_pct) / 100
    for words in day.symbols:
        value = float(words.price) * reach * happening.shares
        if words.symbol in (happening.symbols or [words.symbol]) and value > _MOST_DOLLARS:
            why = f"would be worth {value:,.0f} dollars of {words.symbol}, and no order may be over {_MOST_DOLLARS:,}"
            yield ("happenings", index, "shares"), why


def _too_much(day: Day) -> Iterator[Problem]:
    """Where what is brought of an asset exceeds what there can be of it."""
    brought: Counter[str] = Counter()
    for index, group in enumerate(day.traders):
        symbols = {words.symbol for words in day.symbols if group.symbols is None or words.symbol in group.symbols}
        more = {CASH: len(symbols) * micros(group.cash)} | dict.fromkeys(symbols, group.shares_micros)
        for asset, amount in more.items():
            brought[asset] += group.count * amount
        if over := [asset for asset in more if brought[asset] > MAX_ISSUED]:
            what = "cash" if CASH in over else "shares"
            most = MAX_ISSUED // (MICROS_PER_DOLLAR if CASH in over else MICROS_PER_SHARE)
            yield ("traders", index, what), f"with these all would bring more than {most}, the most there can be"
            return


def _poor(index: int, group: TraderGroup, day: Day) -> Iterator[Problem]:
    """A maker or ladder that cannot pay for one quote on each side would only ever be refused."""
    if isinstance(group, MakerGroup | LadderGroup):
        shares = group.quote_shares if isinstance(group, MakerGroup) else group.shares_first
        dearest = max(words.price for words in day.symbols)
        if group.cash < dearest * shares:
            yield (
                ("traders", index, "cash"),
                f"a {group.kind} needs at least {dearest * shares} to quote {shares} shares",
            )
        if group.shares < shares:
            yield ("traders", index, "shares"), f"a {group.kind} needs at least {shares} to quote them"
