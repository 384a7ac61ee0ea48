"""Long random flows: nothing is created, lost or forgotten in a million commands, and the specification agrees."""

from __future__ import annotations

import sys
from random import SystemRandom

import pytest

from .soak import soak, soak_side_by_side


@pytest.fixture
def seed() -> int:
    """Another one each time; a failure shows what is printed here."""
    new = SystemRandom().randrange(2**32)
    sys.stdout.write(f"seed {new}\n")
    return new


@pytest.mark.timeout(300)
def test_a_million_commands_conserve_every_micro_dollar_and_micro_share(seed: int) -> None:
    exchange = soak(seed, 1_000_000)
    assert exchange.sequence > 700_000, "most commands must be accepted"
    assert exchange.last_trade_id > 100_000


def test_the_specification_agrees_on_a_long_flow(seed: int) -> None:
    soak_side_by_side(seed, 15_000)


def test_the_specification_agrees_on_everything_that_can_happen() -> None:
    """Each kind of order, end, event, turn and refusal occurs in this flow."""
    census = soak_side_by_side(1, 20_000)
    assert not census.missing(), census.counts
