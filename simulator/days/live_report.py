"""What a live day came to: how late it was, when the platform was away, and how its fills differ from the simulation's.

The distance of fills is what says whether the simulation is a fair model of the platform it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.stats import ks_2samp

# Beyond either the market has not kept its schedule.
MOST_LAG_S: Final = 1.0  # of the slowest hundredth
MOST_UNSENT: Final = 0.01  # of the requests
_QUANTILES: Final = (1, 5, 25, 50, 75, 95, 99)


@dataclass(slots=True)
class Gap:
    """The platform was not there: from when in the day's time, and for how many real seconds the market stood still.

    ``forgotten_orders`` were not open any more, ``found_orders`` were open though their answer had been lost.
    ``book_changes`` are those that the feed told of meanwhile; None: there was no feed that caught up.
    """

    at_ns: int
    seconds: float
    forgotten_orders: int = 0
    found_orders: int = 0
    book_changes: int | None = None


@dataclass(slots=True)
class Comparison:
    """Whole shares that each order filled in either market."""

    asked: list[int] = field(default_factory=list)
    pure: list[int] = field(default_factory=list)
    live: list[int] = field(default_factory=list)

    def add(self, asked: int, pure: int, live: int) -> None:
        self.asked.append(asked)
        self.pure.append(pure)
        self.live.append(live)

    def document(self) -> dict[str, Any]:
        """``distance``, order by order: 0 when all fill alike, 1 when none has a share in common.

        ``distribution_distance``: Kolmogorov's, the most by which the shares of orders differ that are filled to some
        fraction of what they asked for, whichever orders they are.
        """
        pure, live = np.array(self.pure or [0]), np.array(self.live or [0])
        asked = np.maximum(np.array(self.asked or [1]), 1)
        differences, filled = live - pure, int(pure.sum() + live.sum())
        return {
            "orders": len(self.pure),
            "alike": round(float((differences == 0).mean()), 4),
            "filled_shares": {"simulation": int(pure.sum()), "platform": int(live.sum())},
            "difference_shares": {f"p{q}": float(np.percentile(differences, q)) for q in _QUANTILES},
            "distance": round(float(np.abs(differences).sum()) / filled, 4) if filled else 0.0,
            "distribution_distance": round(float(ks_2samp(pure / asked, live / asked).statistic), 4),
        }


@dataclass(slots=True)
class LiveReport:
    """``on_arrival``: what traded when an order came; ``at_the_end``: all that it ever traded."""

    sent: int = 0
    unsent: int = 0  # of those, as too many others were under way
    refused: int = 0
    unknown: int = 0
    late_cancels: int = 0  # their order had no id: it was refused, or its answer never came
    lags_s: list[float] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    on_arrival: Comparison = field(default_factory=Comparison)
    at_the_end: Comparison = field(default_factory=Comparison)

    @property
    def kept_up(self) -> bool:
        punctual = not self.lags_s or float(np.quantile(self.lags_s, 0.99)) <= MOST_LAG_S
        return punctual and self.unsent <= MOST_UNSENT * self.sent

    def document(self) -> dict[str, Any]:
        lags = np.array(self.lags_s or [0.0])
        return {
            "valid": self.kept_up,
            "requests_sent": self.sent - self.unsent,
            "requests_unsent": self.unsent,
            "refused": self.refused,
            "unknown": self.unknown,
            "cancels_without_an_order": self.late_cancels,
            "lag_ms": {f"p{q}": round(float(np.percentile(lags, q)) * 1e3, 3) for q in (50, 99, 100)},
            "gaps": [
                {
                    "at_ns": gap.at_ns,
                    "seconds": round(gap.seconds, 3),
                    "forgotten_orders": gap.forgotten_orders,
                    "found_orders": gap.found_orders,
                    "book_changes": gap.book_changes,
                }
                for gap in self.gaps
            ],
            "fills": {"on_arrival": self.on_arrival.document(), "at_the_end": self.at_the_end.document()},
        }
