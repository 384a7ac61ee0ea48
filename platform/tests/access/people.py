"""Somebody who asks: with a key, with a session's cookie, or as nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from stack.embedded import EmbeddedStack
from trading.api.cookies import COOKIE


@dataclass(frozen=True, slots=True)
class Asker:
    """``role`` is None for nobody."""

    role: str | None
    headers: dict[str, str] = field(repr=False)
    way: str = "key"

    @property
    def name(self) -> str:
        return f"{self.role or 'nobody'} by {self.way}"


def key_headers(key_id: str, secret: str) -> dict[str, str]:
    return {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}


def with_keys(stack: EmbeddedStack) -> list[Asker]:
    """One asker of every role on account 1 or none, and nobody."""
    trader = stack.topology.accounts[0]
    askers = [Asker("trader", key_headers(trader.key_id, trader.secret_key))]
    askers += [Asker(key.role, key_headers(key.key_id, key.secret_key)) for key in stack.topology.keys]
    return [*askers, Asker(None, {}, "nothing")]


async def with_sessions(stack: EmbeddedStack, http: aiohttp.ClientSession, base: str) -> list[Asker]:
    return [
        Asker(person.role, session_headers(base, await log_in(http, base, person.name, person.password)), "session")
        for person in stack.topology.people
    ]


def session_headers(base: str, token: str) -> dict[str, str]:
    """What a browser sends with a request of the page's own origin."""
    return {"Cookie": f"{COOKIE}={token}", "Origin": base}


async def try_login(
    http: aiohttp.ClientSession, base: str, name: str, password: str, headers: dict[str, str] | None = None
) -> tuple[int, Any, str | None]:
    """Status, answer and, if there is one, the session's cookie."""
    body = {"name": name, "password": password}
    async with http.post(f"{base}/auth/v1/login", json=body, headers=headers) as response:
        cookie = response.cookies.get(COOKIE)
        return response.status, await response.json(), cookie.value if cookie else None


async def log_in(http: aiohttp.ClientSession, base: str, name: str, password: str) -> str:
    status, answer, token = await try_login(http, base, name, password)
    assert (status, token is not None) == (200, True), answer
    assert token is not None
    return token
