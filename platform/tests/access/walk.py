"""Asks for every route as every role, for its own object and for another's, and compares with the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

from tests.access.conftest import OTHER, OWN
from tests.access.people import Asker
from tests.client import limit_order
from trading.api.access import Right, Rights

Route = tuple[str, str]

# Stand for objects of which whose they are does not matter. Bodies are left out, so that who may do it is told that
# there is none, and nothing is done.
_FILLED_IN = {
    "activity_type": "FILL",
    "symbol": OWN,
    "symbol_or_asset_id": OWN,
    "key_id": "PKNOBODYS",
    "name": "nobody",
}
_CHOSEN_SYMBOL = ("/v2/stocks/bars", "/v2/stocks/trades", "/v2/stocks/quotes", "/v2/stocks/snapshots")


@dataclass(frozen=True, slots=True)
class Ask:
    path: str
    body: Any = None
    of_another: bool = False  # the object is another's


@dataclass(frozen=True, slots=True)
class Difference:
    who: str
    method: str
    path: str
    of_another: bool
    expected: str
    status: int


class Walk:
    """``askers[0]`` is the trader of account 1; ``other`` the headers of account 2's."""

    def __init__(self, http: aiohttp.ClientSession, base: str, askers: list[Asker], other: dict[str, str]) -> None:
        self._http, self._base, self._askers = http, base, askers
        self._owners = {False: askers[0].headers, True: other}
        self._objects: dict[str, Callable[[str, str, bool], Awaitable[Ask]]] = {
            "/v2/orders/{order_id}": self._order,
            "/v2/orders:by_client_order_id": self._client_order_id,
            "/v2/positions/{symbol}": self._position,
            "/v2/watchlists/{watchlist_id}": self._watchlist,
            "/v2/watchlists/{watchlist_id}/{symbol}": self._watchlist,
            "/v2/watchlists:by_name": self._watchlist_name,
        }

    async def differences(self, routes: Iterable[Route], table: dict[Route, Rights]) -> list[Difference]:
        found: list[Difference] = []
        for method, path in routes:
            for asker in self._askers:
                for of_another in (False, True) if path in self._objects or "{account_id}" in path else (False,):
                    ask = await self._ask(method, path, of_another)
                    status = await self._status(method, ask, asker.headers)
                    expected = self._expected(table[method, path], asker, path, of_another)
                    if not _is(status, expected):
                        found.append(Difference(asker.name, method, path, of_another, expected, status))
        return found

    def _expected(self, rights: Rights, asker: Asker, path: str, of_another: bool) -> str:
        if rights is None:
            return "let in"
        if asker.role is None:
            return "unknown"
        match {role.value: right for role, right in rights.items()}[asker.role]:
            case Right.NONE:
                return "forbidden"
            case Right.OWN if of_another:
                return "not found"
            case Right.OWN if path in self._objects:
                return "found"
            case _:
                return "let in"

    async def _ask(self, method: str, path: str, of_another: bool) -> Ask:
        make = self._objects.get(path)
        if make is not None:
            return await make(method, path, of_another)
        filled = path.format_map({**_FILLED_IN, "account_id": 2 if of_another else 1})
        if path in _CHOSEN_SYMBOL or path.endswith("/latest"):
            filled += f"?symbols={OWN}"
        body = limit_order("buy", 1, "1.00") if (method, path) == ("POST", "/v2/orders") else None
        return Ask(filled, body, of_another)

    async def _order(self, method: str, path: str, of_another: bool) -> Ask:
        order = await self._made("/v2/orders", limit_order("buy", 1, "1.00"), of_another)
        return Ask(f"/v2/orders/{order['id']}", {"qty": "2"} if method == "PATCH" else None, of_another)

    async def _client_order_id(self, method: str, path: str, of_another: bool) -> Ask:
        order = await self._made("/v2/orders", limit_order("buy", 1, "1.00"), of_another)
        return Ask(f"{path}?client_order_id={order['client_order_id']}", None, of_another)

    async def _position(self, method: str, path: str, of_another: bool) -> Ask:
        held = f"/v2/positions/{OTHER if of_another else OWN}"
        return Ask(held + ("?qty=1" if method == "DELETE" else ""), None, of_another)

    async def _watchlist(self, method: str, path: str, of_another: bool) -> Ask:
        made = await self._made("/v2/watchlists", {"name": uuid4().hex, "symbols": [OWN]}, of_another)
        return Ask(path.format(watchlist_id=made["id"], symbol=OWN), _watchlist_body(method), of_another)

    async def _watchlist_name(self, method: str, path: str, of_another: bool) -> Ask:
        made = await self._made("/v2/watchlists", {"name": uuid4().hex, "symbols": [OWN]}, of_another)
        return Ask(f"{path}?name={made['name']}", _watchlist_body(method), of_another)

    async def _made(self, path: str, body: Any, of_another: bool) -> Any:
        """A fresh object of account 1, or of account 2."""
        async with self._http.post(self._base + path, json=body, headers=self._owners[of_another]) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def _status(self, method: str, ask: Ask, headers: dict[str, str]) -> int:
        async with self._http.request(method, self._base + ask.path, json=ask.body, headers=headers) as response:
            await response.read()
            return response.status


def _watchlist_body(method: str) -> Any:
    return {"PUT": {"name": uuid4().hex, "symbols": [OTHER]}, "POST": {"symbol": OTHER}}.get(method)


def _is(status: int, expected: str) -> bool:
    match expected:
        case "unknown":
            return status == 401
        case "forbidden":
            return status == 403
        case "not found":
            return status == 404
        case "found":
            return status not in (401, 403, 404) and status < 500
        case _:
            return status not in (401, 403) and status < 500
