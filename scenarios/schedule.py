"""The faults of one run as data: fixed by the scenario and the seed before anything starts."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict

from chaos.conductor import PlannedFault
from scenarios.model import Scenario


def fault_schedule(scenario: Scenario, seed: int) -> tuple[PlannedFault, ...]:
    """In the file's order; the n-th fault's moment depends on the seed and n alone."""
    return tuple(
        PlannedFault(
            fault_id=part.fault_id(number),
            kind=part.kind,
            target=part.target,
            value=part.value,
            at_s=round(part.at_s + random.Random(f"{seed}/fault/{number}").uniform(-1, 1) * part.spread_s, 3),
            for_s=part.for_s,
        )
        for number, part in enumerate(scenario.faults, start=1)
    )


def fault_schedule_digest(schedule: Sequence[PlannedFault]) -> str:
    """SHA-256; equal exactly when every fault is."""
    return hashlib.sha256(json.dumps([asdict(fault) for fault in schedule]).encode()).hexdigest()
