"""Long random flows: nothing is created, lost or forgotten, and the specification agrees.

``make fuzz`` runs the first of them for a million commands.
"""

from __future__ import annotations

import os
import sys
from random import SystemRandom

import pytest

from .soak import soak, soak_side_by_side

COMMANDS = int(os.environ.get("ELSON_SOAK_COMMANDS", "300000"))


@pytest.fixture
def seed() -> int:
    """Another one each time; a failure shows what is printed here."""
    new = SystemRandom().randrange(2**32)
    sys.stdout.write(f"seed {new}\n")
    return new


@pytest.mark.timeout(300)
def test_a_long_flow_conserves_every_micro_dollar_and_micro_share(seed: int) -> None:
    exchange = soak(seed, COMMANDS)
    assert exchange.sequence > 0.7 * COMMANDS, "most commands must be accepted"
    assert exchange.last_trade_id > 0.1 * COMMANDS


def test_the_specification_agrees_on_a_long_flow(seed: int) -> None:
    soak_side_by_side(seed, 15_000)


def test_the_specification_agrees_on_everything_that_can_happen() -> None:
    """Each kind of order, end, event, turn and refusal occurs in this flow."""
    census = soak_side_by_side(1, 20_000)
    assert not census.missing(), census.counts
