"""An api process of a test's own beside a running platform: the same servers, other settings."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from stack.embedded import EmbeddedStack


@asynccontextmanager
async def api_process(platform: EmbeddedStack, **settings: str) -> AsyncIterator[str]:
    """Its base URL; ``settings`` are environment variables on top of those of ``api:1``."""
    async with started(platform, **settings) as (url, _):
        yield url


@asynccontextmanager
async def started(platform: EmbeddedStack, **settings: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Ready when it begins. Its output is lines of JSON on ``stdout``."""
    port = _free_port()
    environment = {**_environment(platform), **settings, "ELSON_NODE": "api:extra", "ELSON_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trading.api"), env=environment, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _ready(url, process)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as http:
        while process.returncode is None:
            try:
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
    raise AssertionError(f"the api ended with {process.returncode}")


def _environment(platform: EmbeddedStack) -> dict[str, str]:
    """The stack keeps its secrets to itself: what it gave to a process is read from that."""
    lines = Path(f"/proc/{platform.node('api:1').pid}/environ").read_bytes().split(b"\0")
    known = dict(os.fsdecode(line).split("=", 1) for line in lines if line)
    return {**os.environ, **{name: value for name, value in known.items() if name.startswith(("ELSON_", "PYTHON"))}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
