"""The database had one primary at a time: each was fenced before the next, and in the end one server takes writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from reports.record import Record
from reports.redundancy import primary_changed
from reports.rows import Happening
from scenarios.checks.check import CannotTellError, Check, Evidence, Findings, present

_FIRST_EPOCH: Final = 1


def examine(record: Record) -> Findings:
    journal = present(record.journal, "journal record")  # one that nobody wrote can have had any number of writers
    servers = _servers(record.events)
    changes = [event for event in record.events if primary_changed(event)]
    violations = [*_unfenced(record.events), *_repeated(changes), *_writers(servers, _last(record.events, changes))]
    summary = f"{len(changes)} changes of the primary, {len(servers)} servers asked, {len(journal):,} journal records"
    return Findings(f"{summary}: {len(violations)} contradict a single primary", violations)


def _servers(events: Iterable[Happening]) -> list[Evidence]:
    asked = [event for event in events if event.event == "database_servers"]
    if not asked:
        raise CannotTellError("the record does not tell what the database's servers said of themselves")
    servers: list[Evidence] = asked[-1].details["servers"]
    return servers


def _unfenced(events: Iterable[Happening]) -> Iterable[Evidence]:
    """A primary must have ended, after it became one, before another does."""
    primary, ended = "", False
    for event in events:
        if event.event == "supervisor_started" and not primary:
            primary = event.text("primary")
        elif event.event == "node_exited" and event.text("node") == primary:
            ended = True
        elif primary_changed(event):
            if not ended:
                yield _row(event.text("node"), f"became primary although {primary or 'nobody'} had not ended")
            primary, ended = event.text("node"), False


def _repeated(changes: Iterable[Happening]) -> Iterable[Evidence]:
    epoch = _FIRST_EPOCH
    for change in changes:
        new: int = change.details.get("epoch") or 0
        if new <= epoch:
            yield _row(change.text("node"), f"became primary of epoch {new} after epoch {epoch}")
        epoch = max(epoch, new)


def _writers(servers: list[Evidence], expected: tuple[str, int]) -> Iterable[Evidence]:
    """Exactly the last primary takes writes, and no server knows of another epoch than its own."""
    writers = {server["node"] for server in servers if server.get("writable")}
    for node in sorted(writers ^ {expected[0]}):
        yield _row(node, "takes writes although it is not primary" if node in writers else "takes no writes")
    for server in servers:
        epoch = server.get("epoch", expected[1])
        if epoch > expected[1] or (server.get("writable") and epoch != expected[1]):
            yield _row(server["node"], f"knows of epoch {epoch}, the last primary told of {expected[1]}")


def _last(events: Iterable[Happening], changes: list[Happening]) -> tuple[str, int]:
    if changes:
        return changes[-1].text("node"), changes[-1].details.get("epoch") or 0
    first = [event.text("primary") for event in events if event.event == "supervisor_started"]
    if not first:
        raise CannotTellError("the record does not tell who was primary")
    return first[0], _FIRST_EPOCH


def _row(node: str, problem: str) -> dict[str, Any]:
    return {"node": node, "problem": problem}


CHECK = Check("one_primary", "The database had one primary at a time", examine)
