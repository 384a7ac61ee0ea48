"""An engine broken on purpose: it acknowledges first and commits a moment later. Run as a program, by tests only."""

from __future__ import annotations

import asyncio

from trading.engine import __main__ as program
from trading.engine import node
from trading.engine.sequencer import Sequencer, _Applied

HASTE_S = 1.0  # against a commit of some milliseconds: the crash rarely finds everything committed


class HastySequencer(Sequencer):
    async def _make_durable(self, applied: _Applied) -> None:
        self._answer(applied)
        await asyncio.sleep(HASTE_S)
        await super()._make_durable(applied)


if __name__ == "__main__":
    node.Sequencer = HastySequencer  # type: ignore[misc]
    program.main()
