"""Latency and cut, against a real Toxiproxy in front of a real Redis."""

from __future__ import annotations

import pytest

from chaos.fault import Evidence, Fault, FaultError
from chaos.faults import make_fault
from chaos.probe import round_trip_ms
from chaos.tests.conftest import IDLE, USED, pinging
from stack.embedded import EmbeddedStack
from stack.topology import Role, platform_topology

pytestmark = pytest.mark.stack

LINK_FAULTS = [("latency", "120 ms"), ("latency", "120 ms +- 30 ms"), ("cut", None), ("cut", "stall")]


async def inflict(stack: EmbeddedStack, fault: Fault, replies_during: int = 0) -> Evidence:
    """Applies and undoes it, while the busy link is used for at least so many answers."""
    aim = await fault.aim(stack)
    async with pinging(stack, USED) as client:
        facts = await fault.inject(stack, aim)
        await client.wait_for_replies(replies_during)
        evidence = await fault.evidence(stack, aim, facts)
        await fault.undo(stack, aim)
    return evidence


def listen_of(stack: EmbeddedStack, name: str) -> str:
    return next(link.listen for link in stack.status().links if link.name == name)


@pytest.mark.parametrize(("kind", "value"), LINK_FAULTS)
async def test_a_fault_on_a_link_in_use_bites(stack: EmbeddedStack, kind: str, value: str | None) -> None:
    evidence = await inflict(
        stack, make_fault(kind, "feed->redis", value), replies_during=2 if kind == "latency" else 0
    )
    assert evidence.bit, evidence


@pytest.mark.parametrize(("kind", "value"), LINK_FAULTS)
async def test_a_fault_on_an_idle_link_does_not_bite(stack: EmbeddedStack, kind: str, value: str | None) -> None:
    evidence = await inflict(stack, make_fault(kind, "api:1->redis", value), replies_during=1)
    assert not evidence.bit, evidence


@pytest.mark.parametrize(("kind", "value"), LINK_FAULTS)
@pytest.mark.parametrize("spared", [USED, IDLE])
async def test_a_fault_does_not_bite_while_one_of_its_links_in_use_is_spared(
    stack: EmbeddedStack, kind: str, value: str | None, spared: str
) -> None:
    fault, aim = make_fault(kind, "api:1->redis", value), [USED, IDLE]
    async with pinging(stack, USED), pinging(stack, IDLE):
        facts = await fault.inject(stack, aim)
        await fault.undo(stack, [spared])  # by another hand: the fault believes that it still is on
        async with pinging(stack, spared) as client:
            await client.wait_for_replies(1)
            evidence = await fault.evidence(stack, aim, facts)
        await fault.undo(stack, aim)
    assert not evidence.bit, evidence
    assert evidence.summary.startswith(spared)


@pytest.mark.parametrize(("kind", "value"), LINK_FAULTS)
async def test_an_idle_link_beside_the_one_in_use_takes_nothing_from_the_bite(
    stack: EmbeddedStack, kind: str, value: str | None
) -> None:
    fault, aim = make_fault(kind, "api:1->redis", value), [USED, IDLE]
    async with pinging(stack, USED) as client:
        facts = await fault.inject(stack, aim)
        await client.wait_for_replies(2 if kind == "latency" else 0)
        evidence = await fault.evidence(stack, aim, facts)
        await fault.undo(stack, aim)
    assert evidence.bit, evidence


@pytest.mark.parametrize(("kind", "value"), LINK_FAULTS)
async def test_the_undone_link_answers_as_before_and_undoing_twice_is_harmless(
    stack: EmbeddedStack, kind: str, value: str | None
) -> None:
    fault = make_fault(kind, "feed->redis", value)
    await inflict(stack, fault)
    await fault.undo(stack, [USED])
    async with pinging(stack, USED) as client:
        assert await client.ping()
    after_ms = await round_trip_ms(listen_of(stack, USED), Role.REDIS)
    assert after_ms is not None
    assert after_ms < 90  # the smallest latency above would add at least this much


async def test_latency_delays_answers_by_what_was_asked_for(stack: EmbeddedStack) -> None:
    fault = make_fault("latency", "feed->redis", "120 ms")
    facts = await fault.inject(stack, [USED])
    slowed_ms = await round_trip_ms(listen_of(stack, USED), Role.REDIS)
    untouched_ms = await round_trip_ms(listen_of(stack, IDLE), Role.REDIS)
    await fault.undo(stack, [USED])
    assert facts[USED]["round_trip_before_ms"] < 120
    assert slowed_ms is not None
    assert slowed_ms >= 120
    assert untouched_ms is not None
    assert untouched_ms < 120


async def test_a_refusing_cut_ends_established_connections(stack: EmbeddedStack) -> None:
    evidence = await inflict(stack, make_fault("cut", "feed->redis", "refuse"))
    assert evidence.facts[USED]["connections_before"] == evidence.facts[USED]["connections_ended"] == 1


async def test_a_stalling_cut_leaves_established_connections_open(stack: EmbeddedStack) -> None:
    evidence = await inflict(stack, make_fault("cut", "feed->redis", "stall"))
    assert evidence.facts[USED]["connections_before"] == 1
    assert evidence.facts[USED]["connections_ended"] == 0


@pytest.mark.parametrize("kind", ["latency", "cut"])
def test_a_direct_link_is_refused_before_anything_starts(kind: str) -> None:
    topology = platform_topology(instruments=(), accounts=(), proxied=["engine->postgres"])
    fault = make_fault(kind, "engine->redis", "10 ms" if kind == "latency" else None)
    with pytest.raises(FaultError, match="engine:1->redis:1, engine:1->redis:2, engine:2->redis:1, "):
        fault.check(topology)


def test_the_link_of_whoever_is_active_is_checked_as_every_engine() -> None:
    topology = platform_topology(instruments=(), accounts=(), proxied=["engine:1->postgres"])
    with pytest.raises(FaultError, match="engine:2->postgres:1, engine:2->postgres:2 is a direct link"):
        make_fault("cut", "engine:active->postgres", None).check(topology)


def test_the_link_of_whoever_is_active_is_none_between_two_databases() -> None:
    topology = platform_topology(instruments=(), accounts=(), proxied=["engine->postgres"])
    make_fault("cut", "engine:active->postgres:primary", None).check(topology)


@pytest.mark.parametrize("value", [None, "fast", "0 ms", "10 ms +- 20 ms", "150", "2 h"])
def test_a_latency_of_the_wrong_form_is_refused(value: str | None) -> None:
    with pytest.raises(FaultError, match="latency"):
        make_fault("latency", "feed->redis", value)
