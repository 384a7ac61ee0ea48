"""The search for a limit: on made-up platforms whose limit is known, and what its answer says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.results import ObjectiveOutcome, VerdictKind
from reports.search import Search, Tried, capacity, limits, next_value

PASS, FAIL, INCONCLUSIVE, INVALID = VerdictKind.PASS, VerdictKind.FAIL, VerdictKind.INCONCLUSIVE, VerdictKind.INVALID
SEARCH = Search("load.rate_per_s", start=100, most=1600, within=50, at_least=200)


def searched(search: Search, platform: Callable[[float], VerdictKind]) -> list[Tried]:
    tried: list[Tried] = []
    while (value := next_value(search, tried)) is not None:
        tried.append(Tried(value, platform(value), "" if platform(value) is PASS else "too slow"))
        assert len(tried) < 50
    return tried


@given(st.floats(100, 1600), st.sampled_from([1.0, 7.0, 50.0, 300.0]))
def test_the_limit_lies_in_a_span_that_is_narrow_enough(limit: float, within: float) -> None:
    search = Search("load.rate_per_s", start=100, most=1600, within=within)
    held, broke = limits(searched(search, lambda value: PASS if value <= limit else FAIL))
    assert held is not None
    assert held <= limit
    if broke is None:
        assert held == 1600
    else:
        assert limit < broke.value <= held + within + 1e-9


def test_values_are_doubled_until_one_breaks_and_the_span_is_halved() -> None:
    tried = searched(SEARCH, lambda value: PASS if value <= 430 else FAIL)
    assert [one.value for one in tried] == [100, 200, 400, 800, 600, 500, 450]


def test_a_run_that_was_not_fit_is_tried_once_more_before_its_value_counts_as_not_held() -> None:
    verdicts = iter([PASS, INVALID, PASS, INVALID, INVALID, PASS])
    search = Search("load.rate_per_s", start=100, most=400, within=100)
    tried: list[Tried] = []
    while (value := next_value(search, tried)) is not None:
        tried.append(Tried(value, next(verdicts), "the generator was late"))
    assert [one.value for one in tried] == [100, 200, 200, 400, 400, 300]
    kind, found = capacity(search, tried)
    assert (kind, found.measured, found.high) == (PASS, 300, None)  # of the platform's limit nothing is known above
    assert found.summary == "300 held; a run at 400 was not fit to be judged, so it may be more: the generator was late"


def test_what_is_asked_without_a_number_is_the_first_value() -> None:
    search = Search("load.rate_per_s", start=100, most=400, within=100)
    kind, found = capacity(search, searched(search, lambda value: FAIL))
    assert (kind, found.outcome, found.bound) == (FAIL, ObjectiveOutcome.MISSED, 100)


@pytest.mark.parametrize(
    ("limit", "above", "kind", "outcome"),
    [
        (250, FAIL, PASS, ObjectiveOutcome.MET),
        (1600, FAIL, PASS, ObjectiveOutcome.MET),
        (100, FAIL, FAIL, ObjectiveOutcome.MISSED),
        (50, FAIL, FAIL, ObjectiveOutcome.MISSED),
        (100, INVALID, INVALID, ObjectiveOutcome.CANNOT_TELL),
        (50, INVALID, INVALID, ObjectiveOutcome.CANNOT_TELL),
        (100, INCONCLUSIVE, INCONCLUSIVE, ObjectiveOutcome.CANNOT_TELL),
    ],
)
def test_the_verdict_says_whether_what_was_asked_for_holds(
    limit: float, above: VerdictKind, kind: VerdictKind, outcome: ObjectiveOutcome
) -> None:
    found = capacity(SEARCH, searched(SEARCH, lambda value: PASS if value <= limit else above))
    assert (found[0], found[1].outcome) == (kind, outcome)


def test_what_was_asked_for_and_lies_within_the_span_cannot_be_told() -> None:
    search = Search("load.rate_per_s", start=100, most=1600, within=50, at_least=420)
    kind, found = capacity(search, searched(search, lambda value: PASS if value <= 410 else FAIL))
    assert (kind, found.low, found.high) == (INCONCLUSIVE, 400, 450)
    assert found.summary == "400 held, 450 did not: too slow"
