"""Toxiproxy between the bare cluster's servers and whoever connects to them, for tests and drills that cut links."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from stack.binaries import require
from stack.ports import PortReserve
from stack.postgres.nodes import PAIR, RECEIVER, REPLICA
from stack.process import ChildProcess, Launch
from stack.toxiproxy import proxies_listen, toxiproxy_argv
from stack.wiring import HOST

CLIENTS: Final = "clients"
_POLL_S: Final = 0.02
_LIMIT_S: Final = 10.0


class Proxies:
    """One for each link by which something replicates, and one from all clients to each server of the pair.

    ``addresses`` holds, by link name such as ``postgres:2->postgres:1`` or ``clients->postgres:1``, where it listens.
    """

    def __init__(self, ports: PortReserve, servers: Mapping[str, int], folder: Path) -> None:
        """``servers``: the port of each server node."""
        clients = (*PAIR, REPLICA, RECEIVER, CLIENTS)
        links = [(f"{client}->{server}", server) for server in PAIR for client in clients if client != server]
        self._url = f"http://{HOST}:{ports.take()}"
        self._upstream = {link: f"{HOST}:{servers[server]}" for link, server in links}
        self.addresses = {link: f"{HOST}:{ports.take()}" for link, _ in links}
        self._folder = folder
        self._process: ChildProcess | None = None

    async def start(self) -> None:
        """Returns when all listen. Raises MissingBinaryError, or TimeoutError when one cannot."""
        path = self._folder / "proxies.json"
        proxies = [
            {"name": link, "listen": self.addresses[link], "upstream": upstream, "enabled": True}
            for link, upstream in self._upstream.items()
        ]
        path.write_text(json.dumps(proxies))
        argv = toxiproxy_argv(require("toxiproxy-server"), int(self._url.rpartition(":")[2]), path)
        self._process = ChildProcess.start(Launch(argv, {}, self._folder / "logs" / "toxiproxy.log"))
        async with asyncio.timeout(_LIMIT_S), aiohttp.ClientSession() as session:
            while not await _listen(session, self._url, set(self.addresses)):
                await asyncio.sleep(_POLL_S)

    async def end(self) -> None:
        if self._process:
            await self._process.kill()

    async def cut(self, *links: str) -> None:
        """Connections break, and new ones are refused."""
        for link in links:
            await self._post(f"proxies/{link}", {"enabled": False})

    async def swallow(self, *links: str) -> None:
        """Connections stay, and nothing comes through in either direction: nobody is told."""
        for link in links:
            for stream in ("upstream", "downstream"):
                toxic = {"name": stream, "type": "timeout", "stream": stream, "attributes": {"timeout": 0}}
                await self._post(f"proxies/{link}/toxics", toxic)

    async def heal(self) -> None:
        await self._post("reset", {})

    async def _post(self, path: str, body: Mapping[str, object]) -> None:
        async with aiohttp.ClientSession(self._url) as session, session.post(f"/{path}", json=body) as answer:
            answer.raise_for_status()


async def _listen(session: aiohttp.ClientSession, url: str, expected: set[str]) -> bool:
    try:
        return await proxies_listen(session, url, expected)
    except aiohttp.ClientError:
        return False
