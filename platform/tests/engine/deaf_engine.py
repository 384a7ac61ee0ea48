"""An engine whose publisher does not end when it is told to. Run as a program, by tests only."""

from __future__ import annotations

import asyncio

from trading.engine import __main__ as program
from trading.engine import node
from trading.engine.publisher import Publisher


class DeafPublisher(Publisher):
    async def run(self) -> None:
        while True:
            try:
                await super().run()
            except asyncio.CancelledError:
                continue


if __name__ == "__main__":
    node.Publisher = DeafPublisher  # type: ignore[misc]
    program.main()
