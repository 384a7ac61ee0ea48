"""The load's own feed subscribers: who kept up heard every message, who read too slowly was let go of."""

from __future__ import annotations

from typing import Any, Final

from loadtests.flows import PROFILES
from reports.outage import windows
from reports.record import MissingPartError, Record
from reports.rows import FeedQuality
from scenarios.checks.check import CannotTellError, Check, Evidence, Findings, present

_BROKEN: Final = (("missed", "messages were left out"), ("breaks", "connections were lost"))


def examine(record: Record) -> Findings:
    """What is left out or lost while a fault is at work is counted, not judged: a process counts over the whole run."""
    present(record.operations, "operation")
    processes, faults = record.feed_quality, bool(windows(record))
    if not processes and _has_subscribers(record):
        raise MissingPartError("the load does not tell how the feed served its subscribers")
    violations = [
        row for number, process in enumerate(processes, start=1) for row in _problems(number, process, faults=faults)
    ]
    if not violations:
        _refuse_patience(processes)
    figures = {
        "feed_subscribers": sum(process.subscribers for process in processes),
        **{name: sum(getattr(process, name) for process in processes) for name, _ in _BROKEN},
    }
    return Findings(
        f"{figures['feed_subscribers']:,} subscribers who kept up missed {figures['missed']:,} messages and lost "
        f"{figures['breaks']:,} connections{' beside faults' if faults else ''}",
        violations,
        figures,
    )


def _has_subscribers(record: Record) -> bool:
    load: dict[str, Any] = record.run.get("configuration", {}).get("load") or {}
    profile = PROFILES.get(load.get("profile", ""))
    return bool(profile and profile.watching)


def _problems(number: int, process: FeedQuality, *, faults: bool) -> list[Evidence]:
    found = (("unserved", "subscribers never got a book"), *(() if faults else _BROKEN))
    return [
        {"process": number, "count": count, "problem": what}
        for name, what in found
        if (count := getattr(process, name))
    ]


def _refuse_patience(processes: list[FeedQuality]) -> None:
    """A short run tells nothing of them: nobody is let go of before it has read too slowly for a while."""
    slow = sum(process.slow.subscribers for process in processes)
    kept = sum(process.slow.kept for process in processes)
    if kept:
        raise CannotTellError(f"{kept} of {slow} subscribers that read too slowly were not let go of")


CHECK = Check("feed_audience", "The feed served every subscriber of the load who kept up", examine)
