"""When operations are meant to start: each kind of arrival as data, and its times drawn lazily from a seed.

All but the constant, Hawkes and replayed kinds are Poisson processes of a rate that moves: arrivals at rate one, put
where the rate's integral reaches them. That is exact at any rate (time rescaling: Brown et al., The time-rescaling
theorem and its application to neural spike train data analysis, Neural Computation 14 (2002) 325-346).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count, repeat
from math import inf
from pathlib import Path
from typing import Final, assert_never

import msgspec
import numpy as np

from loadtests.rates import Linear, Segment, Wave
from simulator.days.arrivals import Hawkes as SelfExciting
from simulator.days.streams import Stream
from trading.core.orders import NS_PER_S

_BLOCK: Final = 256


class _Kind(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower, forbid_unknown_fields=True):
    """Rates are operations per second, times are seconds from where the shape begins."""


class Constant(_Kind, frozen=True):
    """Evenly spaced."""


class Poisson(_Kind, frozen=True):
    """Memoryless at one rate."""


class Ramp(_Kind, frozen=True):
    """Evenly from the rate to ``to_per_s`` over ``over_s``, and on at that."""

    to_per_s: float
    over_s: float


class Step(_Kind, frozen=True):
    """From ``at_s`` on at ``to_per_s``."""

    to_per_s: float
    at_s: float


class Spike(_Kind, frozen=True):
    """At ``to_per_s`` for ``for_s`` from ``at_s`` on."""

    to_per_s: float
    at_s: float
    for_s: float


class Sine(_Kind, frozen=True):
    """Up and down by ``amplitude_per_s`` around the rate, once in ``period_s``."""

    amplitude_per_s: float
    period_s: float


class Breakpoint(_Kind, frozen=True):
    """A staircase: every ``every_s`` another ``step_per_s`` more, without end. Where it breaks is what is searched."""

    step_per_s: float
    every_s: float


class Hawkes(_Kind, frozen=True):
    """Bursts: each arrival brings ``branching`` others on average, within some 1/``decay_per_s`` seconds.

    The rate is the mean in the long run; it begins with the part of it that nothing has brought.
    """

    branching: float
    decay_per_s: float


class Replay(_Kind, frozen=True):
    """The rhythm and the orders of a recorded market, its mean rate stretched to the rate asked for; then again."""

    recording: str  # the folder of a simulated day

    @property
    def folder(self) -> Path:
        return Path(self.recording)


Arrivals = Constant | Poisson | Ramp | Step | Spike | Sine | Breakpoint | Hawkes | Replay
_SHAPED = Ramp | Step | Spike | Sine | Breakpoint
KINDS: Final = {kind.__name__.lower(): kind for kind in Arrivals.__args__}


class ArrivalsError(ValueError):
    """No such arrivals; says why."""


def parse_arrivals(text: str) -> Arrivals:
    """A bare kind, or the JSON that ``arrivals_text`` writes. Raises ArrivalsError."""
    try:
        document = msgspec.json.decode(text) if text.startswith("{") else {"kind": text}
        return checked(msgspec.convert(document, Arrivals))
    except msgspec.MsgspecError as error:
        raise ArrivalsError(f"arrivals {text!r}: {error}; there are {', '.join(KINDS)}") from error


def arrivals_text(arrivals: Arrivals) -> str:
    return msgspec.json.encode(arrivals).decode()


def checked(arrivals: Arrivals, rate_per_s: float = inf) -> Arrivals:
    """As given. Raises ArrivalsError for a number out of its bounds, the message beginning with its name."""
    for name, value in msgspec.structs.asdict(arrivals).items():
        if isinstance(value, float) and not _least(name) <= value < inf:
            raise ArrivalsError(f"{name}: {value:g} is too small, or no number")
    if isinstance(arrivals, Hawkes) and arrivals.branching >= 1:
        raise ArrivalsError(f"branching: each arrival would bring {arrivals.branching:g} others: only below 1 it ends")
    if isinstance(arrivals, Sine) and arrivals.amplitude_per_s > rate_per_s:
        raise ArrivalsError(f"amplitude_per_s: {arrivals.amplitude_per_s:g} would take the rate below zero")
    return arrivals


def _least(name: str) -> float:
    """Spans of time and speeds of decay are above zero, all else may be zero."""
    return 1e-3 if name in ("over_s", "for_s", "period_s", "every_s", "decay_per_s") else 0.0


def offsets_ns(
    arrivals: Arrivals, rate_per_s: float, *, shape_from_s: float = 0.0, seed: np.random.SeedSequence
) -> Iterator[int]:
    """Nanoseconds from the start, ascending, without end unless the rate falls to zero for good.

    Before ``shape_from_s`` a shape is flat at ``rate_per_s``. A replayed market has its own times.
    """
    match arrivals:
        case Constant():
            return (round(number * NS_PER_S / rate_per_s) for number in count())
        case Hawkes():
            return _hawkes_ns(arrivals, rate_per_s, seed)
        case Poisson():
            return _rescaled_ns([Linear(inf, rate_per_s, rate_per_s)], seed)
        case Replay():
            raise ArrivalsError("replay: a recording has times of its own")
        case _:
            flat = [Linear(shape_from_s, rate_per_s, rate_per_s)] if shape_from_s else []
            return _rescaled_ns(chain(flat, segments(arrivals, rate_per_s)), seed)


def segments(arrivals: _SHAPED, rate_per_s: float) -> Iterable[Segment]:
    """The rate over time, from where the shape begins."""
    match arrivals:
        case Ramp(to_per_s, over_s):
            return [Linear(over_s, rate_per_s, to_per_s), Linear(inf, to_per_s, to_per_s)]
        case Step(to_per_s, at_s):
            return [Linear(at_s, rate_per_s, rate_per_s), Linear(inf, to_per_s, to_per_s)]
        case Spike(to_per_s, at_s, for_s):
            usual = Linear(inf, rate_per_s, rate_per_s)
            return [Linear(at_s, rate_per_s, rate_per_s), Linear(for_s, to_per_s, to_per_s), usual]
        case Sine(amplitude_per_s, period_s):
            return repeat(Wave(period_s, rate_per_s, amplitude_per_s))
        case Breakpoint(step_per_s, every_s):
            steps = (rate_per_s + number * step_per_s for number in count())
            return (Linear(every_s, step, step) for step in steps)
        case _:
            assert_never(arrivals)


def _rescaled_ns(rate: Iterable[Segment], seed: np.random.SeedSequence) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    steps = rng.standard_exponential(_BLOCK)  # the first one from where the segment begins, each other from the last
    began_s = 0.0
    for segment in rate:
        while True:
            masses = np.add.accumulate(steps)
            within = int(np.searchsorted(masses, segment.mass))
            yield from np.rint((began_s + segment.when(masses[:within])) * NS_PER_S).astype(np.int64).tolist()
            if within < len(steps):
                break
            steps = rng.standard_exponential(_BLOCK)
            steps[0] += masses[-1]
        steps = steps[within:]
        steps[0] = masses[within] - segment.mass
        began_s += segment.seconds


def _hawkes_ns(arrivals: Hawkes, rate_per_s: float, seed: np.random.SeedSequence) -> Iterator[int]:
    (number,) = seed.generate_state(1, np.uint64).tolist()
    process = SelfExciting(
        rate_per_s * (1 - arrivals.branching), arrivals.branching * arrivals.decay_per_s, arrivals.decay_per_s
    )
    stream, at_s = Stream(number, "load"), 0.0
    while True:
        at_s += process.next_s(stream)
        yield round(at_s * NS_PER_S)
