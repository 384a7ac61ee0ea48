"""A program that owns a stack, for tests that end it in bad ways: prints one line of JSON when it is up."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology

SLEEPER = "import os, time; os.fork(); print('up', flush=True); time.sleep(600)"


async def own(logs: Path, frozen: list[str]) -> None:
    topology = platform_topology(instruments=(), accounts=())
    options = StackOptions(logs, roles=frozenset({Role.POSTGRES, Role.REDIS, Role.TOXIPROXY}))

    def tell(name: str, **fields: object) -> None:
        print(name, json.dumps(fields), flush=True)  # noqa: T201

    async with EmbeddedStack(topology, options, tell) as stack:
        await stack.start_program("load:1", [sys.executable, "-c", SLEEPER], {})
        for name in frozen:
            await stack.freeze(name)
        print("up", stack.status().model_dump_json(by_alias=True), flush=True)  # noqa: T201
        await stack.down_requested.wait()


if __name__ == "__main__":
    asyncio.run(own(Path(sys.argv[1]), sys.argv[2:]))
