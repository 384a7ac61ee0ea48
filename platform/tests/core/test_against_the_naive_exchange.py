"""The fast exchange against its specification: the same commands, the same events, the same state after each."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.core.exchange import Exchange
from trading.core.running_hash import RunningHash
from trading.core.state import restore, state_of

from .flow import LIVELY, Flow, Mood
from .side_by_side import SideBySide

COMMANDS = st.integers(1, 120)
DRAWS = st.randoms(note_method_calls=False, use_true_random=False)
SMALL = Mood(shares_each=40, dollars_each=700)  # so that accounts run out of money, and orders use up the book
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)


@pytest.mark.timeout(400)  # to find the shortest flow that shows a difference takes minutes
@pytest.mark.parametrize("mood", [LIVELY, SMALL], ids=["rich", "poor"])
def test_the_exchange_does_what_its_specification_does(mood: Mood) -> None:
    @given(DRAWS, COMMANDS)
    @PROPERTY
    def same_commands_same_events_and_state(draw: Random, commands: int) -> None:
        both, flow = SideBySide(), Flow(draw, mood)
        for command in flow.opening():
            flow.saw(both.apply(command, thorough=False))
        for _ in range(commands):
            flow.saw(both.apply(flow.next()))

    same_commands_same_events_and_state()


@given(DRAWS, COMMANDS, st.integers(1, 40))
@PROPERTY
def test_a_restored_exchange_goes_on_as_the_one_that_never_stopped(draw: Random, before: int, after: int) -> None:
    exchange, flow = Exchange(), Flow(draw, LIVELY)
    for command in [*flow.opening(), *(flow.next for _ in range(before))]:
        flow.saw(exchange.apply(command() if callable(command) else command))
    state = state_of(exchange)
    restored = restore(state)
    assert state_of(restored) == state
    for _ in range(after):
        command = flow.next()
        outcome = exchange.apply(command)
        flow.saw(outcome)
        assert restored.apply(command) == outcome, command
        assert state_of(restored) == state_of(exchange), command


@given(DRAWS, st.lists(st.integers(0, 12), min_size=1, max_size=12))
@PROPERTY
def test_the_running_hash_is_the_hash_of_the_state_after_every_batch(draw: Random, batches: list[int]) -> None:
    exchange, flow = Exchange(), Flow(draw, LIVELY)
    running = RunningHash(exchange)
    for command in flow.opening():
        outcome = exchange.apply(command)
        flow.saw(outcome)
        running.touch(outcome if isinstance(outcome, list) else [])
    for batch in batches:
        for _ in range(batch):
            outcome = exchange.apply(flow.next())
            flow.saw(outcome)
            running.touch(outcome if isinstance(outcome, list) else [])
        assert running.digest() == state_of(exchange).hash()
    assert RunningHash(restore(state_of(exchange))).digest() == state_of(exchange).hash()
