"""The Toxiproxy node: one proxy per proxied link, named after it.

The proxies come from a file that the server reads when it starts, so they are there again after a restart, and no
client is needed here. (The PyPI client keeps the server's address in a class attribute, one for the whole process:
two stacks in one process would configure each other's proxies.) Faults are put into the proxies by chaos.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp

from stack.wiring import HOST, Wiring

_BYTES = re.compile(r"^toxiproxy_proxy_(received|sent)_bytes_total\{(.*)\} (\S+)$", re.MULTILINE)
_PROXY = re.compile(r'proxy="([^"]*)"')


def write_proxies(path: Path, wiring: Wiring) -> None:
    proxies = [
        {"name": link.name, "listen": wiring.listen(link), "upstream": wiring.address(link.server), "enabled": True}
        for link in wiring.links
        if link.proxied
    ]
    path.write_text(json.dumps(proxies))


def toxiproxy_argv(binary: Path, port: int, proxies: Path) -> tuple[str, ...]:
    return (str(binary), "-host", HOST, "-port", str(port), "-config", str(proxies), "-proxy-metrics")


async def proxies_listen(session: aiohttp.ClientSession, url: str, expected: set[str]) -> bool:
    """Whether the server answers and every proxy listens: it logs a taken port and goes on without that proxy."""
    async with session.get(f"{url}/proxies") as answer:
        proxies = await answer.json()
    return expected <= {name for name, proxy in proxies.items() if proxy["enabled"]}


async def proxied_bytes(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    """Bytes that went through each proxy, both directions, in connections that have ended; absent: none yet.

    Toxiproxy adds a connection's bytes to its counters when the connection closes, not before.
    """
    async with session.get(f"{url}/metrics") as answer:
        text = await answer.text()
    moved: dict[str, int] = {}
    for _, labels, value in _BYTES.findall(text):
        if proxy := _PROXY.search(labels):
            moved[proxy[1]] = moved.get(proxy[1], 0) + int(float(value))
    return moved
