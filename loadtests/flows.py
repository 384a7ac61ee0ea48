"""What each profile offers, by the name of its locustfile; importing this does not import Locust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loadtests.arrivals import Arrivals, Hawkes, Poisson
from loadtests.intended import TRADING_DAY, Mix


@dataclass(frozen=True, slots=True)
class Watching:
    """Feed subscribers beside the traders; all drop their connection at once every ``reconnect_every_s`` (0: never).

    Every ``slow_every``-th (0: none) reads too slowly.
    """

    subscribers: int
    reconnect_every_s: float = 0.0
    slow_every: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """``mix`` of what is offered; ``min_age_s`` of an order before its trader touches it again; ``arrivals`` unless
    others are asked for."""

    mix: Mix
    min_age_s: float = 1.0
    arrivals: Arrivals = field(default_factory=Poisson)
    watching: Watching | None = None


PROFILES: Final[Mapping[str, Profile]] = {
    "trading_day": Profile(TRADING_DAY),
    "order_storm": Profile(Mix(passive=0.70, marketable=0.25, market=0.05)),
    "cancel_storm": Profile(Mix(passive=0.45, cancel=0.40, replace=0.15), min_age_s=0.2),
    "login_rush": Profile(Mix(login=0.8, passive=0.15, marketable=0.05)),
    "market_open": Profile(
        Mix(passive=0.30, marketable=0.25, market=0.20, cancel=0.08, replace=0.07, read=0.05, positions=0.05),
        min_age_s=0.5,
        arrivals=Hawkes(branching=0.7, decay_per_s=5.0),
    ),
    "read_mostly": Profile(
        Mix(passive=0.04, marketable=0.01, read=0.45, positions=0.25, orders=0.25),
    ),
    "feed_fanout": Profile(TRADING_DAY, watching=Watching(subscribers=30)),
    "reconnect_storm": Profile(TRADING_DAY, watching=Watching(subscribers=30, reconnect_every_s=5.0)),
    "slow_consumer": Profile(TRADING_DAY, watching=Watching(subscribers=30, slow_every=3)),
    "mixed": Profile(
        Mix(
            passive=0.35,
            marketable=0.12,
            market=0.03,
            cancel=0.15,
            replace=0.10,
            read=0.12,
            positions=0.08,
            orders=0.05,
        )
    ),
}
