"""Stacks for tests: their registry apart from the user's, and everything that happened to them at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Instrument, Role, Topology, platform_topology

SERVERS = frozenset({Role.POSTGRES, Role.REDIS, Role.TOXIPROXY})


@dataclass
class Events:
    """What a stack told, in order."""

    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, name: str, **fields: object) -> None:
        self.seen.append((name, fields))

    def named(self, name: str, **fields: object) -> list[dict[str, Any]]:
        return [event for kind, event in self.seen if kind == name and fields.items() <= event.items()]


def topology(*proxied: str, engines: int = 2, apis: int = 2) -> Topology:
    instruments = [Instrument("AAA", tick_micros=10_000, reference_price_micros=100_000_000)]
    return platform_topology(instruments=instruments, accounts=(), proxied=proxied, engines=engines, apis=apis)


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def make_stack(tmp_path: Path, events: Events) -> AsyncIterator[Callable[..., EmbeddedStack]]:
    """Builds stacks that are stopped at the end of the test; ``await stack.start()`` is the test's."""
    stacks: list[EmbeddedStack] = []

    def make(*proxied: str, roles: frozenset[Role] = SERVERS, **options: Any) -> EmbeddedStack:
        chosen = StackOptions(tmp_path / "logs", roles=roles, **options)
        stacks.append(EmbeddedStack(topology(*proxied), chosen, events))
        return stacks[-1]

    yield make
    for stack in stacks:
        await stack.stop()
