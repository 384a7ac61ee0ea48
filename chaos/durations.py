"""Durations as people write them: ``150 ms``, ``5 s``, ``2 min``."""

from __future__ import annotations

import re
from typing import Final

FOR_GOOD: Final = "good"  # as in "for: good": never undone

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def parse_duration_s(text: str) -> float:
    """Seconds in ``text``. Raises ValueError that says what was expected."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or match[2] not in _SECONDS_PER_UNIT:
        units = ", ".join(_SECONDS_PER_UNIT)
        raise ValueError(f"{text!r} is no duration: expected a number and a unit ({units}), as in 150 ms or 5 s")
    return float(match[1]) * _SECONDS_PER_UNIT[match[2]]


def duration_text(seconds: float) -> str:
    """The shortest usual way to write it: 0.15 -> "150 ms", 5.0 -> "5 s"."""
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
