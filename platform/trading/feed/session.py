"""One subscriber: what it asked for, and a bounded queue of its own so that it can slow down nobody but itself."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from trading.core.orders import AccountId
from trading.feed.market_view import encode

QUEUE_MESSAGES: Final = 4_000
STALLED_S: Final = 5.0
_FRAME_MESSAGES: Final = 200
_SLOW_CLIENT: Final = encode({"T": "error", "code": 407, "msg": "slow client"})


class Session:
    """Messages wait encoded; consecutive market messages leave together as one JSON array."""

    def __init__(self, socket: WebSocket) -> None:
        self.account_id: AccountId | None = None
        self.orderbooks: set[str] = set()
        self.trades: set[str] = set()
        self.statuses: set[str] = set()
        self.listening = False
        self._socket = socket
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._more = asyncio.Event()
        self._ending = False

    def send(self, message: bytes) -> None:
        """Queues one market message."""
        self._put(message, alone=False)

    def send_alone(self, message: bytes) -> None:
        """Queues a message that is a frame of its own (the trading stream's convention)."""
        self._put(message, alone=True)

    def reply(self, **message: Any) -> None:
        self.send(encode(message))

    def end(self) -> None:
        """Closes the connection after what is queued."""
        self._ending = True
        self._more.set()

    async def write(self) -> None:
        """Sends what is queued until the session ends."""
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._queue:
                    async with asyncio.timeout(STALLED_S):
                        await self._socket.send_text(self._next_frame())
                if self._ending:
                    await self._socket.close()
                    return
        except TimeoutError:
            return  # it reads nothing any more, so it cannot even be told
        except (WebSocketDisconnect, RuntimeError, OSError):
            if self._socket.application_state is not WebSocketState.DISCONNECTED:
                raise

    def _put(self, message: bytes, *, alone: bool) -> None:
        if self._ending:
            return
        if len(self._queue) >= QUEUE_MESSAGES:
            self._queue.clear()
            self._queue.append((_SLOW_CLIENT, False))
            self.end()
            return
        self._queue.append((message, alone))
        self._more.set()

    def _next_frame(self) -> str:
        first, alone = self._queue.popleft()
        if alone:
            return first.decode()
        messages = [first]
        while self._queue and not self._queue[0][1] and len(messages) < _FRAME_MESSAGES:
            messages.append(self._queue.popleft()[0])
        return (b"[%b]" % b",".join(messages)).decode()
