"""How the workers of a distributed load fared, as their master writes it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.command import WORKERS_FILE


@dataclass(slots=True)
class Worker:
    """``state``: offering, over or lost, since ``at_ns``. Its clock is ahead of the master's by ``clock_offset_ns``,
    give or take ``clock_error_ns`` (half of the quickest exchange); None: it never answered."""

    worker: int
    node: str = ""
    state: str = "offering"
    at_ns: int | None = None
    failure: str | None = None
    clock_offset_ns: int | None = None
    clock_error_ns: int | None = None

    def tell(self, asked_ns: int, told_ns: int, heard_ns: int) -> None:
        """One exchange of times, of which the quickest counts (RFC 5905, section 8)."""
        error_ns = (heard_ns - asked_ns) // 2
        if self.clock_error_ns is None or error_ns < self.clock_error_ns:
            self.clock_offset_ns, self.clock_error_ns = told_ns - (asked_ns + heard_ns) // 2, error_ns


def crew_report(record: Path) -> list[dict[str, Any]]:
    """How each worker ended and how its clock was, as the master wrote it down; empty when there were none."""
    try:
        report: list[dict[str, Any]] = json.loads((record / WORKERS_FILE).read_bytes())
    except FileNotFoundError:
        return []
    return report
