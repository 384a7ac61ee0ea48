"""The highest value of a setting that keeps every objective, found by whole runs at one value after another.

From the first value up it is doubled until a run does not pass, then the span between the highest that passed and the
lowest that did not is halved until it is narrow enough. That span is the answer: the limit lies within it, as far as
one run a value can tell. A run that was not fit to be judged says nothing of the platform; its value is tried once
more, and if that was in vain, too, the limit is only known from below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reports.results import ObjectiveOutcome, ObjectiveResult, VerdictKind

CAPACITY: Final = "capacity"


@dataclass(frozen=True, slots=True)
class Search:
    """Of the setting at ``path`` of a scenario. ``at_least``: what must hold for a PASS; None: the first value."""

    path: str
    start: float
    most: float
    within: float
    at_least: float | None = None

    @property
    def asked(self) -> float:
        return self.start if self.at_least is None else self.at_least


@dataclass(frozen=True, slots=True)
class Tried:
    """One run; ``why`` is its first reason, "" for a PASS."""

    value: float
    verdict: VerdictKind
    why: str = ""


def next_value(search: Search, tried: Sequence[Tried]) -> float | None:
    """Which value to run next; None when the answer is narrow enough."""
    if not tried:
        return search.start
    last = tried[-1]
    if last.verdict is VerdictKind.INVALID and [one.value for one in tried].count(last.value) == 1:
        return last.value
    held, broke = limits(tried)
    if held is None:
        return None
    if broke is None:
        return None if held >= search.most else min(search.most, 2 * held)
    steps = round((broke.value - held) / 2 / search.within)
    return held + steps * search.within if steps and broke.value - held > search.within else None


def value_text(value: float) -> str:
    """As a folder is named by it: digits alone, for new_run_folder may put a dash and a number after it."""
    return f"{value:f}".rstrip("0").rstrip(".")


def limits(tried: Iterable[Tried]) -> tuple[float | None, Tried | None]:
    """The highest value that held, and the lowest beyond it that did not; of a value that was tried twice the last
    run counts."""
    last = {one.value: one for one in tried}
    held = max((value for value, one in last.items() if one.verdict is VerdictKind.PASS), default=None)
    beyond = [one for value, one in last.items() if held is None or value > held]
    return held, min(beyond, key=lambda one: one.value, default=None)


def capacity(search: Search, tried: Sequence[Tried]) -> tuple[VerdictKind, ObjectiveResult]:
    """The answer as an objective, and the verdict on the search. ``tried`` not empty."""
    held, broke = limits(tried)
    kind = _kind(search, held, broke)
    outcomes = {VerdictKind.PASS: ObjectiveOutcome.MET, VerdictKind.FAIL: ObjectiveOutcome.MISSED}
    return kind, ObjectiveResult(
        objective=CAPACITY,
        title=f"highest {search.path} that holds",
        scope="",
        bound=search.asked,
        unit="",
        at_least=True,
        outcome=outcomes.get(kind, ObjectiveOutcome.CANNOT_TELL),
        measured=held,
        low=held,
        high=broke.value if broke is not None and broke.verdict is VerdictKind.FAIL else None,
        summary=_summary(held, broke),
    )


def _kind(search: Search, held: float | None, broke: Tried | None) -> VerdictKind:
    if held is not None and held >= search.asked:
        return VerdictKind.PASS
    if broke is None or (broke.verdict is VerdictKind.FAIL and broke.value > search.asked):
        return VerdictKind.INCONCLUSIVE  # what is asked lies in the span
    return broke.verdict


def _summary(held: float | None, broke: Tried | None) -> str:
    held_text = "nothing held" if held is None else f"{held:g} held"
    match broke:
        case None:
            return f"{held_text}, and nothing above it was asked for"
        case Tried(value, VerdictKind.INVALID, why):
            return f"{held_text}; a run at {value:g} was not fit to be judged, so it may be more: {why}"
        case Tried(value, VerdictKind.INCONCLUSIVE, why):
            return f"{held_text}; a run at {value:g} did not tell: {why}"
        case Tried(value, _, why):
            return f"{held_text}, {value:g} did not: {why}"
