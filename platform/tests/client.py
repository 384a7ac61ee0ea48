"""A small client of the running platform for tests: one account's requests over real sockets."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import aiohttp

from stack.status import StackStatus


def limit_order(side: str, qty: int, price: str, *, symbol: str = "AAA", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "qty": str(qty),
        "side": side,
        "type": "limit",
        "time_in_force": "day",
        "limit_price": price,
        "client_order_id": uuid4().hex,
        **more,
    }


class Client:
    """``account`` and ``api`` are indexes into the status. Answers are (status, parsed JSON or None)."""

    def __init__(self, status: StackStatus, *, account: int = 0) -> None:
        self.status = status
        self.account = status.accounts[account]

    async def __aenter__(self) -> Client:
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    def headers(self, account: int | None = None) -> dict[str, str]:
        who = self.account if account is None else self.status.accounts[account]
        return {"APCA-API-KEY-ID": who.key_id, "APCA-API-SECRET-KEY": who.secret_key}

    async def request(
        self, method: str, path: str, *, api: int = 0, account: int | None = None, **more: Any
    ) -> tuple[int, Any]:
        more.setdefault("headers", self.headers(account))
        url = self.status.endpoints["api"][api] + path
        async with self.http.request(method, url, **more) as response:
            text = await response.read()
            return response.status, await response.json() if text else None

    async def place(self, order: dict[str, Any], **more: Any) -> tuple[int, Any]:
        return await self.request("POST", "/v2/orders", json=order, **more)

    async def engine_states(self) -> list[dict[str, Any] | None]:
        return [await self._get(f"http://{n.host}:{n.port}/state") for n in self._engines()]

    async def full_states(self) -> list[dict[str, Any] | None]:
        return [await self._get(f"http://{n.host}:{n.port}/state/full") for n in self._engines()]

    async def active_state(self) -> dict[str, Any]:
        """The active engine's full state."""
        for short, full in zip(await self.engine_states(), await self.full_states(), strict=True):
            if short and full and short["role"] == "active":
                return full
        raise AssertionError("no engine is active")

    async def full_state_of(self, node: str) -> dict[str, Any] | None:
        """One engine's full state."""
        (found,) = (engine for engine in self.status.nodes if engine.name == node)
        return await self._get(f"http://{found.host}:{found.port}/state/full")

    def _engines(self) -> list[Any]:
        return [node for node in self.status.nodes if node.name.startswith("engine")]

    async def _get(self, url: str) -> dict[str, Any] | None:
        try:
            async with self.http.get(url, timeout=aiohttp.ClientTimeout(total=0.5)) as response:
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
