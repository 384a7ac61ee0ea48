"""The conductor: injects faults when they are due and undoes every one of them, whatever happens meanwhile.

Each fault is written down before it is applied, has a time limit, and lives in a task of its own that undoes it at
its limit, on ``clear``, and when the conductor closes: after a normal end, an exception, a cancellation or Ctrl-C.
Only a kill or a switchover for good has neither limit nor undoing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from chaos.fault import Evidence, Fault, FaultError
from chaos.fault_log import FaultLog, FaultState
from chaos.faults import make_fault
from stack.embedded import EmbeddedStack

LONGEST_S: Final = 600.0
_STEP_LIMIT_S: Final = 10.0  # for each of: aim, inject, evidence
_UNDO_LIMIT_S: Final = 30.0  # a killed node has to start again
_UNDO_ATTEMPTS: Final = 3
_UNDO_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """``at_s`` counts from the start of the measured phase; ``for_s`` None means for good."""

    fault_id: str
    kind: str
    target: str
    value: str | None
    at_s: float
    for_s: float | None

    def make(self) -> Fault:
        """Raises FaultError when kind, value and duration do not fit together."""
        fault = make_fault(self.kind, self.target, self.value)
        if self.for_s is None and not fault.lasting:
            raise FaultError(f"{self.kind} cannot be for good: give it a duration")
        if self.for_s is not None and not 0 < self.for_s <= LONGEST_S:
            raise FaultError(f"{self.kind} for {self.for_s:g} s: expected more than 0 s and at most {LONGEST_S:g} s")
        return fault


@dataclass(slots=True)
class _Active:
    planned: PlannedFault
    fault: Fault
    aim: list[str]
    ends_ns: int | None
    end: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def details(self) -> dict[str, Any]:
        return _details(self.planned, self.aim)


class Conductor:
    """Use as an asynchronous context manager: leaving it undoes what is still on and refuses every later fault."""

    def __init__(self, stack: EmbeddedStack, log: FaultLog, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._stack = stack
        self._log = log
        self._on_event = on_event
        self._active: dict[str, _Active] = {}
        self._numbers = itertools.count(1)
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        # In a task of its own: a cancellation of the caller must not stop the undoing half-way.
        clearing = asyncio.ensure_future(self.clear())
        while not clearing.done():
            try:
                await asyncio.shield(clearing)
            except asyncio.CancelledError:
                if clearing.cancelled():
                    raise

    async def follow(self, schedule: Iterable[PlannedFault]) -> None:
        """Injects each fault at its offset from now and returns when all of them are over.

        A fault that cannot be applied is recorded as failed; the others go on.
        """
        started = time.monotonic()
        await asyncio.gather(*(self._when_due(planned, started) for planned in schedule))
        await self._wait_for_all()

    async def _when_due(self, planned: PlannedFault, started: float) -> None:
        await asyncio.sleep(max(0.0, started + planned.at_s - time.monotonic()))
        try:
            active = await self._aim(planned)
        except FaultError as error:
            self._report(FaultState.FAILED, _details(planned, []), error=str(error))
        else:
            await self._launch(active)

    async def add(self, kind: str, target: str, value: str | None, for_s: float | None) -> dict[str, Any]:
        """Injects a fault now; returns its entry of ``list_active``. Raises FaultError."""
        planned = PlannedFault(f"manual-{next(self._numbers)}", kind, target, value, at_s=0.0, for_s=for_s)
        active = await self._aim(planned)
        error = await self._launch(active)
        if error is not None:
            raise FaultError(f"{kind} {target}: {error}")
        return _entry(active)

    def list_active(self) -> list[dict[str, Any]]:
        return [_entry(active) for active in self._active.values()]

    async def clear(self) -> list[str]:
        """Undoes every fault that is on; returns their ids. What is for good stays."""
        ending = [active for active in self._active.values() if active.planned.for_s is not None]
        for active in ending:
            active.end.set()
        await self._wait_for_all()
        return [active.planned.fault_id for active in ending]

    async def _aim(self, planned: PlannedFault) -> _Active:
        """Finds out what it hits and writes that down. Raises FaultError when it cannot be applied."""
        fault = planned.make()
        fault.check(self._stack.topology)
        try:
            async with asyncio.timeout(_STEP_LIMIT_S):
                aim = await fault.aim(self._stack)
        except TimeoutError as error:
            raise FaultError(f"who is {planned.target} was not known within {_STEP_LIMIT_S:g} s") from error
        if self._closed:  # asked here: it may have been closed while the aim was taken
            raise FaultError("no faults now: the run is being judged, or the platform is ending")
        if not aim:
            raise FaultError(f"{planned.target} is nobody at this moment")
        self._refuse_overlap(planned, aim)
        ends_ns = None if planned.for_s is None else time.time_ns() + int(planned.for_s * 1e9)
        active = _Active(planned, fault, aim, ends_ns)
        self._report(FaultState.PLANNED, active.details())
        self._active[planned.fault_id] = active
        return active

    async def _launch(self, active: _Active) -> str | None:
        """Starts its life and returns once it is injected; the undoing runs on its own. Returns what went wrong."""
        injected: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        active.task = asyncio.create_task(self._live(active, injected))
        return await asyncio.shield(injected)

    async def _live(self, active: _Active, injected: asyncio.Future[str | None]) -> None:
        """From injection to undoing. Only ``end`` and the time limit end it: nobody cancels this task."""
        error: str | None = None
        evidence: Evidence | None = None
        try:
            async with asyncio.timeout(_STEP_LIMIT_S):
                facts = await active.fault.inject(self._stack, active.aim)
            if active.planned.for_s is None:
                evidence = await self._evidence(active, facts)
                self._report(FaultState.INJECTED, active.details(), evidence=evidence.document())
                injected.set_result(None)
            else:
                self._report(FaultState.INJECTED, active.details())
                injected.set_result(None)
                evidence = await self._hold(active, facts)
        except Exception as problem:  # noqa: BLE001 (the fault's edge: whatever went wrong, it is undone and recorded)
            error = str(problem) or type(problem).__name__
        try:
            await self._finish(active, evidence, error)
        except OSError as problem:  # the log cannot be written; the undoing came first
            error = f"{self._log.path}: {problem}"
        del self._active[active.planned.fault_id]
        if not injected.done():
            injected.set_result(error)

    async def _hold(self, active: _Active, facts: dict[str, Any]) -> Evidence:
        with contextlib.suppress(TimeoutError):  # its time is over, as planned
            async with asyncio.timeout(active.planned.for_s):
                await active.end.wait()
        return await self._evidence(active, facts)

    async def _evidence(self, active: _Active, facts: dict[str, Any]) -> Evidence:
        async with asyncio.timeout(_STEP_LIMIT_S):
            return await active.fault.evidence(self._stack, active.aim, facts)

    async def _finish(self, active: _Active, evidence: Evidence | None, error: str | None) -> None:
        details = active.details() | ({} if evidence is None else {"evidence": evidence.document()})
        if active.planned.for_s is not None:
            problems = [error, await self._undo(active.fault, active.aim)]
            error = "; ".join(filter(None, problems)) or None
            if error is None:
                self._report(FaultState.UNDONE, details)
        if error is not None:
            self._report(FaultState.FAILED, details, error=error)

    async def _undo(self, fault: Fault, aim: list[str]) -> str | None:
        """Tries a few times; returns what went wrong in the last attempt, None when it worked."""
        error: str | None = None
        for attempt in range(_UNDO_ATTEMPTS):
            await asyncio.sleep(_UNDO_PAUSE_S * attempt)
            try:
                async with asyncio.timeout(_UNDO_LIMIT_S):
                    await fault.undo(self._stack, aim)
            except Exception as problem:  # noqa: BLE001 (the same edge: a failed undo is tried again, then recorded)
                error = f"undo: {problem or type(problem).__name__}"
            else:
                return None
        return error

    def _refuse_overlap(self, planned: PlannedFault, aim: list[str]) -> None:
        for active in self._active.values():
            if active.planned.kind == planned.kind and set(active.aim) & set(aim):
                on = active.planned.fault_id
                raise FaultError(f"{planned.target} has a {planned.kind} already ({on}): clear it first")

    async def _wait_for_all(self) -> None:
        tasks = [active.task for active in self._active.values() if active.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _report(self, state: FaultState, details: dict[str, Any], **more: Any) -> None:
        line = self._log.write(state, details | more)
        self._on_event({"event": "fault", **line})


def _entry(active: _Active) -> dict[str, Any]:
    return {**active.details(), "ends_ns": active.ends_ns}


def _details(planned: PlannedFault, aim: list[str]) -> dict[str, Any]:
    return {
        "fault_id": planned.fault_id,
        "kind": planned.kind,
        "target": planned.target,
        "value": planned.value,
        "aim": aim,
        "for_s": planned.for_s,
        "permanent": planned.for_s is None,
    }
