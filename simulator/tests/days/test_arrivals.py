"""Arrivals against what is known of them, and the streams they draw from."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log

import numpy as np
import pytest
from scipy import stats

from simulator.days.arrivals import NEVER, Hawkes, Intraday, Poisson, Replay
from simulator.days.clock import Activity, market_clock, u_shape
from simulator.days.streams import Stream, generator
from trading.core.orders import NS_PER_S


def test_hawkes_arrivals_pass_the_time_rescaling_test() -> None:
    """The compensator's increments are exponential when the simulation is right (Brown et al., Neural Computation 14
    (2002) 325); near-critical, as markets are."""
    base, jump, decay = 0.5, 18.0, 20.0
    arrivals, stream = Hawkes(base, jump, decay), Stream(3, "hawkes")
    excess, increments = 0.0, []
    for _ in range(4_000):
        pause = arrivals.next_s(stream)
        increments.append(base * pause + excess * (1 - exp(-decay * pause)) / decay)
        excess = excess * exp(-decay * pause) + jump
    assert stats.kstest(increments, "expon").pvalue > 0.01
    assert abs(np.corrcoef(increments[1:], increments[:-1])[0, 1]) < 0.05


def test_what_is_no_hawkes_process_fails_the_same_test() -> None:
    """Poisson arrivals at the same mean rate, rescaled as if they excited each other."""
    stream, excess, increments = Stream(3, "poisson"), 0.0, []
    for _ in range(4_000):
        pause = stream.exponential(0.2)
        increments.append(0.5 * pause + excess * (1 - exp(-20 * pause)) / 20)
        excess = excess * exp(-20 * pause) + 18
    assert stats.kstest(increments, "expon").pvalue < 1e-6


def test_poisson_arrivals_come_at_their_rate_with_exponential_pauses() -> None:
    arrivals, stream, now_ns, pauses = Poisson(4.0), Stream(1, "poisson"), 0, []
    for _ in range(4_000):
        next_ns = arrivals.next_ns(now_ns, stream)
        pauses.append((next_ns - now_ns) / NS_PER_S)
        now_ns = next_ns
    assert stats.kstest(pauses, "expon", args=(0, 0.25)).pvalue > 0.01


def test_intraday_arrivals_follow_the_u_shape() -> None:
    day_s = 23_400
    clock = market_clock(Activity(u_shape=4.0), generator(1, "clock"), start_ns=0, end_ns=day_s * NS_PER_S)
    arrivals, stream, now_ns, times = Intraday(1.0, clock), Stream(1, "intraday"), 0, []
    while now_ns < day_s * NS_PER_S:
        now_ns = arrivals.next_ns(now_ns, stream)
        times.append(now_ns / NS_PER_S / day_s)
    counts, edges = np.histogram(times, bins=6, range=(0, 1))
    expected = np.array([np.mean([u_shape(x, 4.0) for x in np.linspace(a, b, 50)]) for a, b in pairwise(edges)])
    assert stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 0.01


def test_replayed_arrivals_come_at_their_times_and_then_never() -> None:
    arrivals, stream = Replay([30, 10, 20]), Stream(1, "replay")
    assert [arrivals.next_ns(now_ns, stream) for now_ns in (0, 10, 25)] == [10, 20, 30]
    assert arrivals.next_ns(30, stream) == NEVER


def test_a_market_clock_reads_what_it_inverts() -> None:
    clock = market_clock(Activity(3.0, 1.0), generator(2, "clock"), start_ns=0, end_ns=3_600 * NS_PER_S)
    for second in (0, 1, 777, 3_599):
        at_ns = second * NS_PER_S + 123_456_789
        assert clock.when(clock.read(at_ns)) == pytest.approx(at_ns, abs=10)


def test_a_stream_depends_on_the_seed_and_the_name_alone() -> None:
    first = [Stream(1, "noise-AAA-1").uniform() for _ in range(2)]
    assert first[0] == first[1]
    assert first[0] not in (Stream(2, "noise-AAA-1").uniform(), Stream(1, "noise-AAA-2").uniform())


@pytest.mark.parametrize(
    ("draw", "law", "arguments"),
    [
        (lambda s: s.normal(), "norm", ()),
        (lambda s: s.exponential(2.0), "expon", (0, 2.0)),
        (lambda s: log(s.lognormal(1.0, 0.5)), "norm", (0, 0.5)),
        (lambda s: s.pareto(2.0, 1.5), "pareto", (1.5, 0, 2.0)),
        (lambda s: s.between(-1, 3), "uniform", (-1, 4)),
    ],
)
def test_draws_follow_their_laws(draw: object, law: str, arguments: tuple[float, ...]) -> None:
    stream = Stream(5, "draws")
    assert callable(draw)
    assert stats.kstest([draw(stream) for _ in range(3_000)], law, args=arguments).pvalue > 0.01


def test_integers_are_uniform_with_both_ends() -> None:
    stream = Stream(6, "integers")
    counts = np.bincount([stream.integer(2, 5) for _ in range(4_000)], minlength=6)
    assert counts[:2].sum() == 0
    assert stats.chisquare(counts[2:]).pvalue > 0.01
