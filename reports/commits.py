"""How near an engine was to the most that it can make durable: it commits one batch of orders after the other.

A slower commit does not end an engine at once, for more orders then share the next. Its end is that every batch is full
and one commit follows the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from reports.node_metrics import measured_metrics
from reports.record import Record

_TIME: Final = "engine_commit_seconds_sum"
_COMMITS: Final = "engine_commit_seconds_count"
_COMMANDS: Final = "engine_batch_commands_sum"
_LIMIT: Final = "engine_batch_limit_commands"


@dataclass(frozen=True, slots=True)
class Commits:
    """Of the engine ``node`` in the measured phase, from its first to its last.

    ``busy``: share of the time in which one was under way. ``commands``: in one, on average, of at most ``limit``.
    """

    node: str
    per_s: float
    mean_ms: float
    busy: float
    commands: float
    limit: int

    @property
    def name(self) -> str:
        return f"commits of {self.node}"

    @property
    def share(self) -> float:
        return self.busy * self.commands / self.limit


def commits(record: Record) -> list[Commits]:
    """In the order of the engines' names; none when the record does not tell of any."""
    limits = measured_metrics(record, _LIMIT).groupby("node")["value"].max()
    found = []
    for node, limit in limits.items():
        made, time_s, commands = (_growth(record, metric, str(node)) for metric in (_COMMITS, _TIME, _COMMANDS))
        if count := made["grown"].sum():
            grew = made[made["grown"] > 0]
            span_s = (grew["at_ns"].iloc[-1] - grew["since_ns"].iloc[0]) / 1e9
            found.append(
                Commits(
                    node=str(node),
                    per_s=float(count / span_s),
                    mean_ms=float(1e3 * time_s["grown"].sum() / count),
                    busy=float(time_s["grown"].sum() / span_s),
                    commands=float(commands["grown"].sum() / count),
                    limit=int(limit),
                )
            )
    return found


def _growth(record: Record, metric: str, node: str) -> pd.DataFrame:
    """By how much a counter had grown at ``at_ns`` since ``since_ns``; one that began anew is not below nothing."""
    samples = measured_metrics(record, metric, node).sort_values("at_ns", kind="stable")
    return samples.assign(since_ns=samples["at_ns"].shift(), grown=samples["value"].diff().clip(lower=0)).iloc[1:]
