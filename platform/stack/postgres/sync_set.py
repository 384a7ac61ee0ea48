"""Which copies a commit may rest on: fewer when one is lost, all when it is back, and the record covers both sides.

A commit is acknowledged when the first reachable copy of the set has it, so the recorded copies hold everything
acknowledged between them, not each alone; a failover therefore gives its candidate what the receiver has beyond it.
The set never becomes empty: with both partners gone, commits wait until one is back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from stack.postgres.ensemble import Ensemble, View
from stack.postgres.nodes import RECEIVER, other, synchronous_standby_names
from stack.postgres.record import Step

STALLED_S: Final = 0.4
_TRUSTED_AGAIN_S: Final = 0.3
_POLL_S: Final = 0.01
_SEEN_WITHIN_S: Final = 2.0


@dataclass(slots=True)
class _Pace:
    """Whether a follower keeps up: it gains, or has what the primary had at the look before."""

    flushed: int = 0
    gained_at_s: float = 0.0
    well_since_s: float = 0.0


class SyncSet:
    """Call ``adjust`` after every look at the primary; it returns when the set fits what was seen."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._all = ensemble
        self._paces: dict[str, _Pace] = {}
        self._primary_had = 0
        self._had_when_lost: int | None = None

    def stalled_s(self, node: str) -> float:
        """For how long a follower that is connected has not got on; 0 for one that is not."""
        pace = self._paces.get(node)
        return time.monotonic() - pace.gained_at_s if pace else 0.0

    def restart(self) -> None:
        """Forgets what was seen: another server is primary now."""
        self._paces.clear()
        self._primary_had, self._had_when_lost = 0, None

    async def adjust(self, view: View) -> None:
        """Raises one of NOT_ANSWERING when the primary goes away meanwhile; the record is right at every moment."""
        self._measure(view)
        record = self._all.record
        well = tuple(node for node in (other(record.primary), RECEIVER) if self._well(node, view))
        keep = tuple(node for node in record.sync if node in well)
        if keep != record.sync and keep:
            if self._covered(keep, view):
                await self._shrink(keep)
            else:
                self._all.wake.set()  # look again at once
        elif back := [node for node in well if node not in record.sync and self._trusted(node)]:
            await self._grow(tuple(back))
        elif record.step in (Step.SHRINKING, Step.GROWING) or view.names != synchronous_standby_names(record.sync):
            await self._settle()
        if keep == record.sync:
            self._had_when_lost = None

    async def expel(self, node: str) -> None:
        """Shrinks the set although nothing is wrong. Raises one of NOT_ANSWERING, TimeoutError among them."""
        keep = tuple(member for member in self._all.record.sync if member != node)
        await self._until_covered(keep)
        await self._shrink(keep)
        await self._until_covered(keep)  # what its connection still let go by the set of before

    async def _until_covered(self, keep: tuple[str, ...]) -> None:
        self._had_when_lost = None
        async with asyncio.timeout(_SEEN_WITHIN_S):
            while not self._covered(keep, await self._all.look()):
                await asyncio.sleep(_POLL_S)

    def _measure(self, view: View) -> None:
        now_s = time.monotonic()
        for node in list(self._paces):
            if node not in view.followers:
                del self._paces[node]
        for node, follower in view.followers.items():
            pace = self._paces.setdefault(node, _Pace(0, now_s, now_s))
            if follower.flushed > pace.flushed or follower.flushed >= self._primary_had:
                pace.gained_at_s = now_s
            elif now_s - pace.gained_at_s > STALLED_S:
                pace.well_since_s = now_s
            pace.flushed = follower.flushed
        self._primary_had = view.flushed

    def _well(self, node: str, view: View) -> bool:
        there = node in view.followers and self._all.exits.runs(node) and node not in self._all.record.stale
        return there and self.stalled_s(node) <= STALLED_S

    def _trusted(self, node: str) -> bool:
        return time.monotonic() - self._paces[node].well_since_s >= _TRUSTED_AGAIN_S

    def _covered(self, keep: tuple[str, ...], view: View) -> bool:
        """Whether one of those left has whatever the lost one may have confirmed alone."""
        if self._had_when_lost is None:
            self._had_when_lost = view.flushed
        there = [view.followers[node] for node in keep if node in view.followers]
        return any(follower.flushed >= self._had_when_lost for follower in there)

    async def _shrink(self, keep: tuple[str, ...]) -> None:
        was = self._all.record.sync
        self._all.change(sync=keep, **self._step(Step.SHRINKING))
        await self._settle()
        self._all.report.tell("sync_set_shrunk", sync=keep, was=was)

    async def _grow(self, back: tuple[str, ...]) -> None:
        """Only those that are back have to be seen: the others may be lost by now, and then these replace them."""
        was = self._all.record.sync
        ordered = tuple(sorted((*was, *back)))
        self._all.change(**self._step(Step.GROWING))
        self._all.lead(ordered)
        try:
            async with asyncio.timeout(_SEEN_WITHIN_S):
                while not await self._counted(back):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            await self._settle()
            return
        stale = {node: stage for node, stage in self._all.record.stale.items() if node not in ordered}
        self._all.change(sync=ordered, stale=stale, **self._step(Step.STEADY))
        await self._all.nudge()  # lets go what the new member had confirmed before it counted
        self._all.report.tell("sync_set_grown", sync=ordered, was=was)

    async def _settle(self) -> None:
        """Has the primary go by the recorded set."""
        sync = self._all.record.sync
        self._all.lead(sync)
        await self._all.names_in_effect(sync)
        # Commits that wait are let go by the next confirmation of a follower, and an idle one confirms once a second.
        await self._all.nudge()
        self._all.change(**self._step(Step.STEADY))

    async def _counted(self, members: tuple[str, ...]) -> bool:
        followers = (await self._all.look()).followers
        return all(node in followers and followers[node].sync_state in ("sync", "potential") for node in members)

    def _step(self, step: Step) -> dict[str, Any]:
        """A promotion that is not finished stays the record's step."""
        return {} if self._all.record.step in (Step.PROMOTED, Step.ADOPTED) else {"step": step}
