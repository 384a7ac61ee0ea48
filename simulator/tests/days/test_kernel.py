"""Virtual time: the order in which things happen."""

from __future__ import annotations

import random

from simulator.days.kernel import Kernel
from trading.core.orders import NS_PER_S


def test_things_happen_in_order_of_time_and_of_asking() -> None:
    kernel, seen = Kernel(), []
    for at_ns, what in ((5, "c"), (3, "a"), (5, "d"), (4, "b")):
        kernel.at(at_ns, lambda what: seen.append((kernel.now_ns, what)), what)
    kernel.run(10)
    assert seen == [(3, "a"), (4, "b"), (5, "c"), (5, "d")]
    assert kernel.now_ns == 10


def test_what_simpy_steers_comes_before_everything_else_of_its_time() -> None:
    kernel = Kernel()
    seen: list[str] = []
    kernel.at(5, seen.append, "message")
    kernel.at(4, seen.append, "earlier")
    kernel.steer(5, lambda: seen.append("phase"))
    kernel.run(10)
    assert seen == ["earlier", "phase", "message"]


def test_a_halt_that_is_decided_on_the_way_interrupts_what_was_to_come() -> None:
    kernel, seen = Kernel(), []
    kernel.at(2, lambda _: kernel.steer(4, lambda: seen.append("reopened")), None)
    for at_ns in (3, 4, 5):
        kernel.at(at_ns, seen.append, at_ns)
    kernel.steer(100, lambda: None)
    kernel.run(50)
    assert seen == [3, "reopened", 4, 5]


def test_what_is_due_later_waits_for_the_next_run() -> None:
    kernel = Kernel()
    seen: list[str] = []
    kernel.at(10, seen.append, "then")
    kernel.run(10)
    assert not seen
    kernel.run(11)
    assert seen == ["then"]


def test_what_is_due_long_after_it_was_asked_for_happens_in_order_with_what_is_asked_for_on_the_way() -> None:
    kernel, rng, happened = Kernel(7_200 * NS_PER_S), random.Random(3), list[tuple[int, int]]()

    def act(number: int) -> None:
        happened.append((kernel.now_ns, number))
        if number % 3 == 0:
            ask(number + 1)

    def ask(number: int) -> None:
        at_ns = kernel.now_ns + rng.randrange(10 * NS_PER_S) // rng.choice((1, 1_000))
        asked.append((at_ns, number))
        kernel.at(at_ns, act, number)

    asked: list[tuple[int, int]] = []
    for number in range(0, 900, 3):
        ask(number)
    for second in (1, 2, 2.7, 30):
        kernel.run(7_200 * NS_PER_S + int(second * NS_PER_S))
        assert happened == sorted(due for due in asked if due[0] < kernel.now_ns)
    assert len(happened) == len(asked) == 600
