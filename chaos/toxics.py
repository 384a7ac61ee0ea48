"""Toxiproxy's toxics through ``toxiproxy-python``: a deadline on every call, and no process-wide address.

The library keeps the server's address in class attributes; several stacks may live in one process, so each call
sets it under a lock. It also waits for ever, so its request layer is used with a time-out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import NotFound, ProxyExists

from chaos.fault import FaultError

_ADDRESS_LOCK = threading.Lock()
_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class Toxics:
    """The toxics of one Toxiproxy server; ``proxy`` is the name of the link it sits in."""

    base_url: str

    async def add(self, proxy: str, name: str, *, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        toxic = {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": dict(attributes)}
        try:
            await self._call(APIConsumer.post, f"/proxies/{quote(proxy)}/toxics", json=toxic)
        except NotFound as error:
            raise FaultError(f"{proxy} has no proxy") from error
        except ProxyExists as error:
            raise FaultError(f"{proxy} already has a toxic {name}") from error

    async def remove(self, proxy: str, name: str) -> None:
        """Removes it, or finds it gone already."""
        try:
            await self._call(APIConsumer.delete, f"/proxies/{quote(proxy)}/toxics/{quote(name)}")
        except NotFound:
            return

    async def enable(self, proxy: str, *, enabled: bool) -> None:
        """A disabled proxy ends its connections and refuses new ones."""
        await self._call(APIConsumer.post, f"/proxies/{quote(proxy)}", json={"enabled": enabled})

    async def _call(self, method: Callable[..., Any], path: str, **options: Any) -> None:
        await asyncio.to_thread(self._call_blocking, method, path, options)

    def _call_blocking(self, method: Callable[..., Any], path: str, options: dict[str, Any]) -> None:
        address = urlsplit(self.base_url)
        try:
            with _ADDRESS_LOCK:
                APIConsumer.host, APIConsumer.port = address.hostname, address.port
                response = method(path, timeout=_LIMIT_S, **options)
            response.raise_for_status()
        except requests.RequestException as error:
            raise FaultError(f"Toxiproxy at {self.base_url}: {error}") from error
