"""What can be chosen about an embedded stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stack.programs import PROGRAMS
from stack.topology import Role

# Market and load are started by the run, through start_program.
EMBEDDED_ROLES: Final = frozenset(
    {Role.POSTGRES, Role.WAL, Role.SUPERVISOR, Role.BACKUP, Role.REDIS, Role.SENTINEL, Role.TOXIPROXY}
    | {Role.ENGINE, Role.API, Role.FEED}
)

# For a platform that lives for minutes and is thrown away: a base backup of it costs more than it is worth.
WITHOUT_BACKUPS: Final = EMBEDDED_ROLES - {Role.BACKUP}


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Without a supervisor nobody fails PostgreSQL over; without a receiver (wal) commits wait for the standby alone.

    ``log_folder`` gets ``<node>.log`` files; ``roles`` are started by ``start``; ``ports`` fixes some nodes' ports.

    ``programs`` are the command lines of the platform's processes; an engine among the roles brings the migration
    and the seeding with it. ``archive`` gets backups and log, sealed with the key in ``key_file``; without one they are
    the stack's own and end with it.
    """

    log_folder: Path
    roles: frozenset[Role] = EMBEDDED_ROLES
    ports: Mapping[str, int] = field(default_factory=dict)
    programs: Mapping[Role, tuple[str, ...]] = field(default_factory=lambda: PROGRAMS)
    archive: Path | None = None
    key_file: Path | None = None
    start_limit_s: float = 60.0
    lease_ttl_ms: int = 500
