"""Clients that place orders one after the other, and repeat each with the same client_order_id until it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Final
from uuid import uuid4

import aiohttp

from stack.status import StackStatus

_ANSWER_LIMIT: Final = aiohttp.ClientTimeout(total=8)  # longer than an api's own deadline
_RETRY_S: Final = 0.02


class Load:
    """Use as an async context manager. ``acknowledged`` maps client_order_id to the order's id.

    Each client rests for ``pause_s`` between two orders: no load at all is as even as that which the machine bears.
    """

    def __init__(self, status: StackStatus, clients: int, *, pause_s: float = 0.0) -> None:
        self._status = status
        self._clients = clients
        self._pause_s = pause_s
        self._acks_s: list[float] = []
        self.answered_within_s: list[tuple[float, float]] = []  # when, and since the order was sent first
        self._stopping = False
        self.acknowledged: dict[str, str] = {}
        self.refused: list[str] = []
        self.unanswered: list[tuple[float, str]] = []  # when, and a status or an error, of what was then repeated

    async def __aenter__(self) -> Load:
        self._http = aiohttp.ClientSession(timeout=_ANSWER_LIMIT)
        self._tasks = [asyncio.create_task(self._trade(number)) for number in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._http.close()

    async def drain(self) -> None:
        """Starts nothing more; returns when every order has been answered."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def answers_again(self, since_s: float) -> None:
        """Returns when something has been acknowledged after ``since_s`` on the monotonic clock."""
        while not self._acks_s or self._acks_s[-1] <= since_s:
            await asyncio.sleep(0.005)

    def longest_gap_s(self, since_s: float) -> float:
        """Between one acknowledgement and the next, from the last one before ``since_s`` on."""
        return longest_gap_s(self._acks_s, since_s)

    async def _trade(self, number: int) -> None:
        account = self._status.accounts[number % len(self._status.accounts)]
        headers = {"APCA-API-KEY-ID": account.key_id, "APCA-API-SECRET-KEY": account.secret_key}
        apis, side = self._status.endpoints["api"], ("buy", "sell")[number % 2]
        while not self._stopping:
            client_order_id = uuid4().hex
            order = {
                "symbol": self._status.instruments[0].symbol,
                "qty": "1",
                "side": side,
                "type": "limit",
                "time_in_force": "day",
                "limit_price": "100.00",
                "client_order_id": client_order_id,
            }
            tries, sent_s = 0, time.monotonic()
            while not await self._place(f"{apis[(number + tries) % len(apis)]}/v2/orders", order, headers):
                tries += 1
                await asyncio.sleep(_RETRY_S)
            now_s = time.monotonic()
            self.answered_within_s.append((now_s, now_s - sent_s))
            await asyncio.sleep(self._pause_s)

    async def _place(self, url: str, order: dict[str, str], headers: dict[str, str]) -> bool:
        """Whether it was answered for certain."""
        try:
            async with self._http.post(url, json=order, headers=headers) as response:
                if response.status in (503, 504):
                    self.unanswered.append((time.monotonic(), str(response.status)))
                    return False
                answer = await response.json()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.unanswered.append((time.monotonic(), type(error).__name__))
            return False
        if response.status == 200:
            self._acks_s.append(time.monotonic())
            self.acknowledged[order["client_order_id"]] = answer["id"]
        else:
            self.refused.append(f"{response.status} {answer}")
        return True


def longest_gap_s(moments_s: Sequence[float], since_s: float) -> float:
    """Between one moment and the next, from the last one before ``since_s`` on."""
    before = max((at for at in moments_s if at <= since_s), default=since_s)
    after = [at for at in moments_s if at > since_s]
    return max(later - earlier for earlier, later in pairwise([before, *after]))
