"""The difference of two figures, each with an interval of its own."""

from __future__ import annotations

import math

import pytest

from reports.comparison import Side, difference


def test_each_end_rests_on_the_two_ends_that_lead_there() -> None:
    """MOVER by hand: down by what ours may be less (2) and theirs more (3), up by the others (4 and 0.5)."""
    found = difference(Side(5.0, 3.0, 9.0), Side(1.0, 0.5, 4.0))
    assert (found.value, found.low) == (4.0, 4.0 - math.sqrt(13.0))
    assert found.high == pytest.approx(4.0 + math.sqrt(16.25))


def test_an_end_that_the_samples_do_not_tell_leaves_the_other_known() -> None:
    found = difference(Side(5.0, 3.0, math.inf), Side(1.0, 0.5, 4.0))
    assert found.high == math.inf
    assert found.low == 4.0 - math.sqrt(13.0)
