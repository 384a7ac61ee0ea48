"""How near each part of a run was to its limit in the measured phase, and which was nearest: more load ends there.

A process of one thread ends at one core, those of several at all of them, and all together at the machine. What is
used is what the kernel counted, on average over the phase (or over as much of it as a node lived). Engines end at what
they can commit, too (``reports.commits``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from reports.commits import Commits, commits
from reports.node_metrics import MACHINE, cores_of, measured_metrics
from reports.record import MissingPartError, Record
from reports.results import NearestLimit

NEAR: Final = 0.8  # of its limit: from there on waiting grows faster than work
_OF_SEVERAL: Final = ("postgres", "toxiproxy")  # processes or threads
_TAKERS: Final = 3
_OTHERS: Final = "what was not of the run"


@dataclass(frozen=True, slots=True)
class Use:
    """Of a node, or of the machine. ``cores`` it used on average and in its busiest second, of the ``limit`` it could
    have had; ``waited`` for one while it was ready to run, in cores (None: not measured)."""

    name: str
    cores: float
    most: float
    limit: int
    waited: float | None

    @property
    def share(self) -> float:
        return self.cores / self.limit


def uses(record: Record) -> list[Use]:
    """Nearest to its limit first. Raises MissingPartError when the record does not tell."""
    cores = cores_of(record)
    used, waited = measured_metrics(record, "cpu_percent"), measured_metrics(record, "run_queue_wait_percent")
    busy = measured_metrics(record, "busy_percent", MACHINE)
    if not len(busy):
        raise MissingPartError("metrics holds nothing of the whole machine")
    waits = waited.groupby("node")["value"].mean()
    found = [_use(str(node), rows, cores, waits.get(node)) for node, rows in used.groupby("node", sort=True)]
    return sorted([_use(MACHINE, busy, cores, None), *found], key=lambda use: (-use.share, use.name))


def _use(name: str, samples: pd.DataFrame, cores: int, waited_percent: float | None) -> Use:
    limit = cores if name.partition(":")[0] in (MACHINE, *_OF_SEVERAL) else 1
    waited = None if waited_percent is None else float(waited_percent) / 100
    return Use(name, float(samples["value"].mean()) / 100, float(samples["value"].max()) / 100, limit, waited)


def nearest_limit(record: Record) -> NearestLimit:
    """Raises MissingPartError when the record does not tell."""
    limits = [NearestLimit(name=use.name, share=use.share) for use in uses(record)]
    limits += [NearestLimit(name=each.name, share=each.share) for each in commits(record)]
    return max(limits, key=lambda limit: limit.share)


def bottleneck(record: Record) -> str:
    """A sentence that names it, or says that there was none. Raises MissingPartError when the record does not tell."""
    nearest, found = nearest_limit(record), uses(record)
    said = next((_said(each) for each in commits(record) if each.name == nearest.name), None) or _used(found)
    if nearest.share >= NEAR:
        return f"The bottleneck was {said}."
    return f"Nothing was near its limit. The nearest was {said}."


def _used(found: list[Use]) -> str:
    nearest = found[0]
    of = f"its {nearest.limit} cores" if nearest.limit > 1 else "the one core that it can use"
    if nearest.name != MACHINE:
        return f"{nearest.name}: {nearest.share:.0%} of {of}"
    cores = {use.name: use.cores for use in found[1:]}
    cores[_OTHERS] = nearest.cores - sum(cores.values())
    takers = sorted(cores, key=lambda name: -cores[name])[:_TAKERS]
    most = ", ".join(f"{name} ({cores[name]:.0%} of one)" for name in takers)
    return f"the machine: {nearest.share:.0%} of {of}, most by {most}"


def _said(most: Commits) -> str:
    return (
        f"the {most.name}: one was under way {most.busy:.0%} of the time, each took {most.mean_ms:,.0f} ms,"
        f" with {most.commands:,.0f} commands of at most {most.limit:,}"
    )
