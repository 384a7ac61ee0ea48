"""How a scenario starts the load: Locust in its own process, because importing it patches the importing one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.arrivals import Arrivals, arrivals_text
from loadtests.flows import PROFILES

LOAD_FILE = "load.json"
WORKERS_FILE = "load_workers.json"
TRADING_DAY = Path(__file__).parent / "profiles" / "trading_day.py"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """``status`` is a stack's status document; ``traders`` should be its number of load accounts.

    The schedule starts at ``start_at_ns`` (epoch), or a second after the process is up where that is later: once it is
    known, ``announced_start`` tells. Rows go to ``operations-load`` in the folder ``record``. ``arrivals`` are the
    profile's unless given; one that changes its rate does so from ``shape_from_s`` on.
    """

    status: Path
    record: Path
    seed: int
    rate_per_s: float
    duration_s: float
    traders: int
    start_at_ns: int | None = None
    max_in_flight: int = 512
    profile: Path = TRADING_DAY
    arrivals: Arrivals | None = None
    shape_from_s: float = 0.0


def announced_start(record: Path) -> int | None:
    """Epoch time at which the schedule starts, as the generator wrote it down; None while it is not up yet."""
    try:
        return int(json.loads((record / LOAD_FILE).read_bytes())["start_ns"])
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class Crewed:
    """A process's part in a distributed load: the master's, who waits for ``workers``, or a worker's."""

    port: int
    workers: int = 0  # 0: a worker
    node: str = ""  # by which the record names it

    def arguments(self) -> list[str]:
        if not self.workers:
            address = ["--master-host", "127.0.0.1", "--master-port", str(self.port)]
            return ["--worker", *address, "--elson-node", self.node]
        address = ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(self.port)]
        # Rebalancing would only move idle traders: a lost worker's share is nobody else's.
        return ["--headless", "--master", *address, "--expect-workers", str(self.workers)]


def locust_command(
    options: LoadOptions, environment: Mapping[str, str], crewed: Crewed | None = None
) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a headless measured run, or of one process of a distributed one.

    It ends by itself, with 0, when every answer is in; with 2 on wrong usage, 1 when it cannot go on. SIGTERM and
    SIGINT end it early, with a readable record in which operations under way are unknown. A worker ends when its master
    does.
    """
    watching = PROFILES[options.profile.stem].watching if options.profile.stem in PROFILES else None
    users = options.traders + (watching.subscribers if watching else 0)
    arguments = {
        "--locustfile": options.profile,
        "--users": users,
        "--spawn-rate": users,
        "--elson-status": options.status,
        "--elson-record": options.record,
        "--elson-seed": options.seed,
        "--elson-rate": options.rate_per_s,
        "--elson-arrivals": arrivals_text(options.arrivals) if options.arrivals else "",
        "--elson-shape-from": options.shape_from_s,
        "--elson-duration": options.duration_s,
        "--elson-start-at-ns": options.start_at_ns or 0,
        "--elson-max-in-flight": options.max_in_flight,
    }
    if crewed and not crewed.workers:  # the master tells it the rest
        arguments = {name: arguments[name] for name in ("--locustfile", "--elson-status")}
    argv = [sys.executable, "-m", "locust", "--only-summary"]
    argv += crewed.arguments() if crewed else ["--headless"]
    argv += [part for name, value in arguments.items() for part in (name, str(value))]
    # Locust reads options from LOCUST_* too; a user's own must not change a measured run.
    return argv, {name: value for name, value in environment.items() if not name.startswith("LOCUST_")}
