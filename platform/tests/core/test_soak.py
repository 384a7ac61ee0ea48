"""Long random flows: nothing is created, lost or forgotten in a million commands, and the specification agrees."""

from __future__ import annotations

from random import SystemRandom

import pytest

from .soak import soak, soak_side_by_side

NEW_FLOW = pytest.mark.parametrize("seed", [SystemRandom().randrange(2**32)])  # the test's name tells it


@NEW_FLOW
@pytest.mark.timeout(300)
def test_a_million_commands_conserve_every_micro_dollar_and_micro_share(seed: int) -> None:
    exchange = soak(seed, 1_000_000)
    assert exchange.sequence > 700_000, "most commands must be accepted"
    assert exchange.last_trade_id > 100_000


@NEW_FLOW
def test_the_specification_agrees_on_a_long_flow(seed: int) -> None:
    soak_side_by_side(seed, 15_000)


def test_the_specification_agrees_on_everything_that_can_happen() -> None:
    """Each kind of order, end, event, turn and refusal occurs in this flow."""
    census = soak_side_by_side(1, 20_000)
    assert not census.missing(), census.counts
