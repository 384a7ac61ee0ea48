"""The officers of a running platform, and traders for whom they open accounts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp

from stack.embedded import EmbeddedStack
from tests.client import limit_order

Answer = tuple[int, Any]

_account_ids = count(1_000)


@dataclass
class Trader:
    """An account of one test's own, with its key."""

    office: Office
    account_id: int
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return f"/admin/v1/accounts/{self.account_id}"

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return await self.office.ask(self.headers, method, path, body, **more)

    async def place(self, side: str = "buy", qty: int = 1, price: str = "10.00", **more: Any) -> Answer:
        return await self.ask("POST", "/v2/orders", limit_order(side, qty, price, **more))

    async def status_of(self, order: dict[str, Any]) -> str:
        status, found = await self.ask("GET", f"/v2/orders/{order['id']}")
        assert status == 200
        text: str = found["status"]
        return text

    async def cash(self) -> str:
        status, account = await self.ask("GET", "/v2/account")
        assert status == 200
        text: str = account["cash"]
        return text


class Office:
    """Use as an async context manager. ``stack`` has an operator and a risk officer."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack
        self.status = stack.status()
        self.headers = {
            key.role: {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": key.secret_key} for key in self.status.keys
        }
        self.names = {key.role: f"key {key.key_id}" for key in self.status.keys}

    async def __aenter__(self) -> Office:
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def ask(
        self, headers: dict[str, str], method: str, path: str, body: object = None, *, api: int = 0, **more: Any
    ) -> Answer:
        """``body`` as JSON; (status, parsed JSON or None)."""
        url = self.status.endpoints["api"][api] + path
        async with self.http.request(method, url, json=body, headers=headers, **more) as response:
            text = await response.read()
            return response.status, await response.json() if text else None

    async def operator(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return await self.ask(self.headers["operator"], method, "/admin/v1" + path, body, **more)

    async def risk(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return await self.ask(self.headers["risk_officer"], method, "/admin/v1" + path, body, **more)

    async def audited(self, role: str, method: str, path: str, body: object = None) -> tuple[Answer, dict[str, Any]]:
        """An officer's call's answer with its row of the audit."""
        request_id = uuid4().hex
        headers = {**self.headers[role], "X-Request-ID": request_id}
        answer = await self.ask(headers, method, "/admin/v1" + path, body)
        return answer, await self.row_of(request_id)

    async def row_of(self, request_id: str) -> dict[str, Any]:
        status, page = await self.operator("GET", "/audit?limit=50")
        assert status == 200
        (row,) = [row for row in page["calls"] if row["request_id"] == request_id]
        found: dict[str, Any] = row
        return found

    async def trader(self, cash: str | None = "1000000", **terms: Any) -> Trader:
        """With a new account, cash and a key."""
        account_id = next(_account_ids)
        assert (await self.operator("POST", "/accounts", {"account_id": account_id, **terms}))[0] == 201
        if cash:
            assert (await self.deposit(account_id, cash))[0] == 200
        status, key = await self.operator("POST", f"/accounts/{account_id}/keys", {"name": "test"})
        assert status == 201
        headers = {"APCA-API-KEY-ID": key["key_id"], "APCA-API-SECRET-KEY": key["secret_key"]}
        return Trader(self, account_id, headers)

    async def deposit(self, account_id: int, amount: str, asset: str = "USD") -> Answer:
        payment = {"reference": uuid4().hex, "asset": asset, "amount": amount}
        return await self.operator("POST", f"/accounts/{account_id}/deposits", payment)
