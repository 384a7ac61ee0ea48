"""The words of a day file that all traders share: moments, sums, latency, arrivals. Unknown keys are refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.days.arrivals import Arrivals, Hawkes, Intraday, Poisson, Replay
from simulator.days.clock import MarketClock
from simulator.days.desk import Latency
from trading.core.orders import MAX_QUANTITY, MICROS_PER_DOLLAR, MICROS_PER_SHARE, NS_PER_S

_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_NS_PER_MS: Final = 1_000_000
MOST_PER_S: Final = 1e6


def _nanoseconds(value: object) -> object:
    if isinstance(value, int):  # YAML reads 10:30 as a number to the base of sixty
        raise ValueError('should be a time in quotes, as "10:30"')
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('should be a time of day in quotes, as "09:30" or "14:05:30"')
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * NS_PER_S


def _not_binary(value: object) -> object:
    return str(value) if isinstance(value, float) else value


Moment: TypeAlias = Annotated[int, BeforeValidator(_nanoseconds)]
Dollars: TypeAlias = Annotated[Decimal, BeforeValidator(_not_binary), Field(gt=0, le=10**9, decimal_places=6)]
# With these bounds every time moves on, and every number of a day fits into its record.
Positive: TypeAlias = Annotated[float, Field(ge=1e-9, le=1e9)]
Rate: TypeAlias = Annotated[float, Field(ge=1e-9, le=MOST_PER_S)]
Seconds: TypeAlias = Annotated[float, Field(ge=1e-3, le=1e9)]
Sigma: TypeAlias = Annotated[float, Field(ge=1e-9, le=5)]
Chance: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Levels: TypeAlias = Annotated[int, Field(ge=1, le=1_000)]
Symbols: TypeAlias = Annotated[list[str], Field(min_length=1)]
Shares: TypeAlias = Annotated[int, Field(ge=1, le=MAX_QUANTITY // MICROS_PER_SHARE)]


def micros(dollars: Decimal) -> int:
    return int(dollars * MICROS_PER_DOLLAR)


class Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class PoissonArrivals(Words):
    kind: Literal["poisson"]
    per_s: Rate

    def build(self, clock: MarketClock) -> Arrivals:
        return Poisson(self.per_s)


class IntradayArrivals(Words):
    """By the market's clock, with its U shape and bursts; ``per_hour`` on the day's average."""

    kind: Literal["intraday"]
    per_hour: Annotated[float, Field(ge=1e-6, le=3_600 * MOST_PER_S)]

    def build(self, clock: MarketClock) -> Arrivals:
        return Intraday(self.per_hour / 3_600, clock)


class HawkesArrivals(Words):
    kind: Literal["hawkes"]
    base_per_s: Rate
    jump_per_s: Annotated[float, Field(ge=0, le=MOST_PER_S)]
    decay_per_s: Rate

    @model_validator(mode="after")
    def _subcritical(self) -> HawkesArrivals:
        ratio = self.jump_per_s / self.decay_per_s
        if ratio >= 1:
            raise ValueError(
                f"every arrival would bring {ratio:.3g} others, jump_per_s / decay_per_s: only below 1 does it end"
            )
        mean = self.base_per_s / (1 - ratio)
        if mean > MOST_PER_S:
            raise ValueError(f"there would be {mean:.3g} a second, base_per_s / (1 - jump_per_s / decay_per_s)")
        return self

    def build(self, clock: MarketClock) -> Arrivals:
        return Hawkes(self.base_per_s, self.jump_per_s, self.decay_per_s)


class ReplayArrivals(Words):
    kind: Literal["replay"]
    times: Annotated[list[Moment], Field(min_length=1)]

    def build(self, clock: MarketClock) -> Arrivals:
        return Replay(self.times)


ArrivalWords: TypeAlias = Annotated[
    PoissonArrivals | IntradayArrivals | HawkesArrivals | ReplayArrivals, Field(discriminator="kind")
]


class LatencyWords(Words):
    """How far a group's traders are from the exchange: each draws its distance, lognormal around ``median_ms``."""

    median_ms: Annotated[float, Field(ge=1e-9, le=60_000)] = 1.0
    spread: Annotated[float, Field(ge=0, le=3)] = 0.5
    jitter_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.1

    def draw(self, lognormal: float) -> Latency:
        """``lognormal``: a draw with median one."""
        return Latency(int(self.median_ms * lognormal * _NS_PER_MS), int(self.jitter_ms * _NS_PER_MS))


class LimitWords(Words):
    """The account's own bounds, as the platform has them; without them only the exchange's hold."""

    order_shares: Shares | None = None
    open_orders: Count | None = None
    orders_per_s: Count | None = None
    position_shares: Annotated[int, Field(ge=1, le=10**12)] | None = None


class Group(Words):
    """Traders of one kind. Each has its own account, stream, distance and arrivals."""

    count: Annotated[int, Field(ge=1, le=10**6)] = 1
    symbols: Symbols | None = None  # None: that many in each of the day's
    cash: Dollars = Decimal(1_000_000)
    shares: Annotated[int, Field(ge=0, le=10**8)] = 10_000
    latency: LatencyWords = LatencyWords()
    limits: LimitWords = LimitWords()
    arrivals: ArrivalWords

    @property
    def shares_micros(self) -> int:
        return self.shares * MICROS_PER_SHARE
