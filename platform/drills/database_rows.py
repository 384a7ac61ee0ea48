"""The rows of the database drills: each fault, what may follow from it, and the budget it is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from drills import database_disk
from drills import database_faults as faults
from drills.database_faults import Fault
from stack.postgres.nodes import RECEIVER
from stack.postgres.proxies import CLIENTS


class Where(StrEnum):
    """What the cluster is like on which a row is drilled."""

    PLAIN = "plain"
    PROXIED = "proxied"  # replication and clients through Toxiproxy
    SMALL_DISK = "small disk"  # postgres:1 on a small volume of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """``changes``: whether another server is primary afterwards; None where either is right.

    Outage budgets are in ms, of all rounds; None: there is none beyond coming back at all. ``keeps_pace``: afterwards
    the writers are as fast as before. ``in_time``: no statement takes longer, with its retries, than clients wait.
    """

    fault: Fault
    changes: bool | None
    median_ms: float | None = None
    longest_ms: float | None = None
    keeps_pace: bool = False
    in_time: bool = False
    where: Where = Where.PLAIN


# By step of the record or stage of a server: the fault that leads there.
STEPS: Final[Mapping[str, Fault]] = {
    "shrinking": faults.kill_standby,
    "growing": faults.kill_standby,
    "draining": faults.switch_over,
    "fencing": faults.kill_primary,
    "fenced": faults.kill_primary,
    "fed": faults.kill_primary,
    "promoting": faults.kill_primary,
    "promoted": faults.kill_primary,
    "rewinding": faults.kill_primary,
    "rejoining": faults.kill_primary,
    "copying": faults.lose_standby,
}
_SAME_PRIMARY: Final = frozenset({"shrinking", "growing", "copying"})
# And who dies before the supervisor is back; the other of the pair can be primary only in some orders.
_SECOND: Final[tuple[tuple[str, str, bool | None], ...]] = (
    ("shrinking", "primary", True),
    ("growing", "primary", True),
    ("growing", "receiver", False),
    ("fencing", "standby", True),
    ("fenced", "standby", True),
    ("fed", "standby", True),
    ("promoting", "standby", True),
    ("promoting", "receiver", True),
    ("promoted", "standby", True),
    ("promoted", "receiver", True),
    ("rewinding", "standby", True),
    ("rejoining", "standby", None),
)

_BUDGETED: Final[Mapping[str, Drill]] = {
    "primary kill -9": Drill(fault=faults.kill_primary, changes=True, median_ms=500, longest_ms=1_000),
    "primary frozen": Drill(fault=faults.freeze_primary, changes=True, longest_ms=2_000),
    "primary frozen, resumed": Drill(fault=faults.zombie, changes=True, longest_ms=2_000),
    "standby kill -9": Drill(fault=faults.kill_standby, changes=False, longest_ms=1_000, keeps_pace=True),
    "standby frozen": Drill(fault=faults.freeze_standby, changes=False, longest_ms=1_000, keeps_pace=True),
    "receiver kill -9": Drill(fault=faults.kill_receiver, changes=False, longest_ms=1_000, keeps_pace=True),
    "replica kill -9": Drill(fault=faults.kill_replica, changes=False, longest_ms=1_000, keeps_pace=True),
    "standby, then primary kill -9": Drill(fault=faults.kill_both, changes=True),
    "switchover": Drill(fault=faults.switch_over, changes=True, longest_ms=500, in_time=True),
    "standby's data lost": Drill(fault=faults.lose_standby, changes=False, longest_ms=1_000, keeps_pace=True),
}
_STEPWISE: Final[Mapping[str, Drill]] = {
    **{
        f"supervisor killed at {step}": Drill(
            fault=partial(faults.die_at, step, fault), changes=step not in _SAME_PRIMARY
        )
        for step, fault in STEPS.items()
    },
    **{
        f"supervisor killed at {step}, {then}": Drill(
            fault=partial(faults.die_at, step, STEPS[step], then=then), changes=changes
        )
        for step, then, changes in _SECOND
    },
    "supervisor frozen, primary kill -9": Drill(fault=faults.freeze_supervisor, changes=True),
}
_IN_ORDER: Final[Mapping[str, Drill]] = {
    f"{order}, {gap_ms} ms apart": Drill(
        fault=partial(faults.one_then_the_other, gap_ms, order), changes=True if order.endswith("primary") else None
    )
    for order in ("standby, primary", "primary, standby", "receiver, primary", "primary, receiver")
    for gap_ms in (0, 10, 100, 400)
}
_COMBINED: Final[Mapping[str, Drill]] = {
    "standby frozen, primary kill -9": Drill(fault=faults.freeze_standby_kill_primary, changes=True),
    "standby's recovery frozen, primary": Drill(fault=faults.standby_stops_reading, changes=True),
    "standby's data lost, primary kill -9": Drill(fault=faults.lose_standby_then_primary, changes=False),
    "standby and receiver away": Drill(fault=faults.partners_away, changes=False),
    "standby back, receiver away": Drill(fault=faults.receiver_away_for_good, changes=False),
    "primary, then the new one": Drill(fault=faults.again_at_once, changes=True),
    "replica ahead of the new primary": Drill(fault=faults.replica_ahead, changes=True),
    "postmaster alone kill -9": Drill(fault=faults.postmaster_only, changes=True, median_ms=500, longest_ms=1_000),
    "one backend kill -9": Drill(fault=faults.one_backend, changes=None, longest_ms=2_000),
    "no core left for four seconds": Drill(fault=faults.starve, changes=False),
}
_LINKS: Final[Mapping[str, Drill]] = {
    name: Drill(fault=fault, changes=changes, where=Where.PROXIED)
    for name, fault, changes in (
        ("link standby->primary cut", partial(faults.cut, ("standby",)), False),
        ("link standby->primary silent", partial(faults.cut, ("standby",), silently=True), False),
        ("link receiver->primary silent", partial(faults.cut, (RECEIVER,), silently=True), False),
        ("links of both copies cut", partial(faults.cut, ("standby", RECEIVER)), False),
        ("links of both copies silent", partial(faults.cut, ("standby", RECEIVER), silently=True), False),
        ("link standby->primary cut, primary", faults.cut_then_kill, True),
        ("link clients->primary cut", partial(faults.cut, (CLIENTS,)), False),
        ("link clients->primary silent", partial(faults.cut, (CLIENTS,), silently=True), False),
    )
}

_DISK: Final[Mapping[str, Drill]] = {
    "disk full on the primary": Drill(fault=database_disk.fill, changes=None, where=Where.SMALL_DISK)
}

DRILLS: Final[Mapping[str, Drill]] = {**_BUDGETED, **_STEPWISE, **_IN_ORDER, **_COMBINED, **_LINKS, **_DISK}
