"""The record a run writes while it runs: its folder, run.json, the events."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from chaos.conductor import PlannedFault
from loadtests.flows import PROFILES
from loadtests.intended import ScheduleOptions
from loadtests.schedule import operations, schedule_digest
from reports.fitness import warm_up_rule
from reports.records import RECORD_VERSION
from reports.run_folder import EventLog, new_run_folder, point_latest, runs_root, write_json
from scenarios.loader import LoadedScenario
from scenarios.model import Scenario
from scenarios.provenance import commit, machine, versions
from scenarios.schedule import fault_schedule_digest
from stack.topology import Account, Topology

# Room for the end of a run that fills its disk: why it ended, the verdict, the report.
_RESERVE_BYTES: Final = 8 * 2**20


class RunRecord:
    """Raises OSError from anything when the disk is full; nothing of it is a pass then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # It has no name, so it is gone with the process, however that ends.
        self._reserve = TemporaryFile(dir=folder)  # noqa: SIM115
        os.posix_fallocate(self._reserve.fileno(), 0, _RESERVE_BYTES)
        self._events = EventLog(folder)
        self._run: dict[str, Any] = {}
        self._broken: OSError | None = None

    @classmethod
    def create(cls, name: str, within: Path | None = None) -> RunRecord:
        """A new folder, to which ``latest`` points from now on; ``within`` a folder of repeats, which ``latest`` is."""
        root = runs_root(os.environ)
        folder = new_run_folder(within or root, name)
        if within is None:
            point_latest(root, folder)
        return cls(folder)

    def describe(self, run: dict[str, Any]) -> None:
        """Adds to run.json."""
        self._run |= run
        write_json(self.folder / "run.json", self._run)

    def event(self, name: str, **details: Any) -> None:
        self._events.add(name, **details)

    def note(self, event: str, at_ns: int | None = None, **details: Any) -> None:
        """``event`` for callbacks, whose errors nobody would see: the first one is kept for ``require_whole``."""
        try:
            self._events.add(event, at_ns=at_ns, **details)
        except OSError as error:
            self._broken = self._broken or error

    def require_whole(self) -> None:
        """Raises the OSError that left a hole in the events, if any did."""
        if self._broken is not None:
            raise self._broken

    def make_room(self) -> None:
        """Gives up the room that was kept for the end."""
        self._reserve.close()

    def close(self) -> None:
        self.make_room()
        with suppress(OSError):  # the disk is full: what could be written is
            self._events.close()


def run_description(
    loaded: LoadedScenario, seed: int, faults: Sequence[PlannedFault], command_line: Sequence[str]
) -> dict[str, Any]:
    """Everything that is known before anything starts."""
    scenario = loaded.scenario
    head, dirty = commit()
    intended = schedule_digest(operations(load_schedule(scenario, seed)))
    return {
        "record_version": RECORD_VERSION,
        "scenario": loaded.name,
        **({"variant": loaded.variant} if loaded.variant else {}),
        "title": scenario.title,
        "seed": seed,
        "started_ns": time.time_ns(),
        "command_line": list(command_line),
        "commit": head,
        "dirty": dirty,
        "versions": versions(),
        "machine": machine(),
        **({"overrides": [str(override) for override in loaded.overrides]} if loaded.overrides else {}),
        "configuration": scenario.model_dump(mode="json"),
        "scenario_text": loaded.text,
        "objectives": [objective.model_dump(exclude_none=True) for objective in scenario.objectives],
        "warm_up_rule": warm_up_rule(scenario.phases.warm_up_s),
        "faults": [asdict(fault) for fault in faults],
        "fault_schedule_digest": fault_schedule_digest(faults),
        "scheduled_operations": intended.operations,
        "load_schedule_digest": intended.sha256,
        "load_max_in_flight": intended.max_in_flight,
    }


def load_schedule(scenario: Scenario, seed: int) -> ScheduleOptions:
    """What the load will intend: the same as its profile draws from the same seed."""
    profile = PROFILES[scenario.load.profile]
    return ScheduleOptions(
        seed=seed,
        accounts=scenario.topology.accounts.count,
        symbols=tuple(instrument.symbol for instrument in scenario.topology.instruments),
        rate_per_s=scenario.load.rate_per_s,
        duration_s=scenario.phases.warm_up_s + scenario.phases.measure_s,
        arrivals=scenario.load.offered,
        shape_from_s=scenario.phases.warm_up_s,
        mix=profile.mix,
        min_age_s=profile.min_age_s,
    )


def topology_description(topology: Topology) -> dict[str, Any]:
    """The picture without secrets."""
    return {
        "nodes": [{"name": node.name, "role": node.role.value} for node in topology.nodes],
        "links": [
            {"name": link.name, "from": link.client.name, "to": link.server.name, "proxied": link.proxied}
            for link in topology.links
        ],
        "instruments": [asdict(instrument) for instrument in topology.instruments],
        "accounts": [{"account_id": a.account_id, "name": a.name, **_started_with(a)} for a in topology.accounts],
    }


def _started_with(account: Account) -> dict[str, Any]:
    return {"cash_micros": account.cash_micros, "shares": account.shares, "multiplier": account.multiplier}
