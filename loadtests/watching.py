"""How well a feed serves one subscriber: what reached it, what it missed, how old it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import log
from typing import Any, Final

import msgspec

from trading.core.orders import NS_PER_S

_STEP: Final = log(1.01)  # of the staleness kept: one per cent
_LEAST_MS: Final = 0.01


class BookMessage(msgspec.Struct):
    """As much of a feed's message as this needs; ``q`` is a number for a book, numbers by symbol for a heartbeat."""

    T: str = ""
    S: str = ""
    q: int | dict[str, int] = 0
    r: bool = False
    t: str = ""


decode_frame: Final = msgspec.json.Decoder(list[BookMessage] | BookMessage).decode


@dataclass(slots=True)
class Watch:
    """Of one subscriber over all its connections. ``first`` and ``last`` are sequence numbers by symbol, ``ages``
    counts messages by the logarithm of how old they were. Who is ``slow`` cannot expect to be told everything."""

    slow: bool = False
    received: int = 0
    gaps: int = 0
    missed: int = 0
    breaks: int = 0
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    ages: Counter[int] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)  # from the wish to subscribe to the first book

    def take(self, message: BookMessage, now_ns: int) -> None:
        """Only books count; a number left out is a gap, one that was heard before is no news."""
        if message.T != "o" or not isinstance(message.q, int):
            return
        last = self.last.get(message.S)
        if last is None:
            self.first[message.S] = message.q - 1
        elif message.q <= last:
            return
        elif message.q > last + 1:
            self.gaps += 1
            self.missed += message.q - last - 1
        self.last[message.S] = message.q
        self.received += 1
        if message.t and not message.r:
            age_ms = max(_LEAST_MS, (now_ns - _epoch_ns(message.t)) / 1e6)
            self.ages[round(log(age_ms) / _STEP)] += 1


def quality(watches: Sequence[Watch]) -> dict[str, Any]:
    """Of all that keep up, and of the slow ones apart how often they were let go of. ``reach`` is received of what was
    there to receive since each one's first book, as far as any of them knows."""
    slow, watches = [watch for watch in watches if watch.slow], [watch for watch in watches if not watch.slow]
    newest: dict[str, int] = {}
    for watch in watches:
        for symbol, number in watch.last.items():
            newest[symbol] = max(newest.get(symbol, 0), number)
    there_were = sum(newest[symbol] - first for watch in watches for symbol, first in watch.first.items())
    ages: Counter[int] = sum((watch.ages for watch in watches), Counter())
    waits = sorted(wait for watch in watches for wait in watch.waits_ms)
    received = sum(watch.received for watch in watches)
    return {
        "subscribers": len(watches),
        "received": received,
        "reach": round(received / there_were, 6) if there_were else None,
        "gaps": sum(watch.gaps for watch in watches),
        "missed": sum(watch.missed for watch in watches),
        "breaks": sum(watch.breaks for watch in watches),
        "staleness_ms": {name: _age_ms(ages, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))},
        "unserved": sum(not watch.first for watch in watches),
        "subscribed": len(waits),
        "first_book_ms": {"p50": _rank(waits, 0.5), "p99": _rank(waits, 0.99), "max": _rank(waits, 1.0)},
        "slow": {
            "subscribers": len(slow),
            "received": sum(watch.received for watch in slow),
            "let_go": sum(watch.breaks for watch in slow),
            "kept": sum(not watch.breaks for watch in slow),
        },
    }


def _age_ms(ages: Counter[int], share: float) -> float | None:
    left = share * ages.total()
    for step in sorted(ages):
        left -= ages[step]
        if left <= 1e-9:
            return round(1.01**step, 3)
    return None


def _rank(values: Sequence[float], share: float) -> float | None:
    return round(values[max(0, -int(-share * len(values) // 1) - 1)], 3) if values else None


def _epoch_ns(rfc3339: str) -> int:
    """Nanoseconds are beyond datetime: they are added."""
    whole, _, fraction = rfc3339.rstrip("Z").partition(".")
    return round(datetime.fromisoformat(whole + "+00:00").timestamp()) * NS_PER_S + int(fraction.ljust(9, "0") or 0)


def messages(frame: str | bytes) -> Iterable[BookMessage]:
    """Raises msgspec.MsgspecError."""
    decoded = decode_frame(frame)
    return decoded if isinstance(decoded, list) else [decoded]
