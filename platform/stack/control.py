"""How other commands talk to a running stack's owner: JSON lines over a Unix socket that only this user can open."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from stack.errors import ControlError, StackError
from stack.status import StackStatus

Handler = Callable[..., Awaitable[dict[str, Any]]]
_LONGEST_LINE = 4 * 1024 * 1024  # the status of a stack with thousands of accounts


class ControlServer:
    """Answers ``{"op": name, ...fields}`` with ``{"ok": true, ...}`` or ``{"ok": false, "error": text}``.

    A handler gets the fields as keyword arguments. Raising StackError or ValueError refuses the operation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self.path.chmod(0o600)  # before it listens, so that nobody else can have connected
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST_LINE)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):  # gone, an endless line, or we are stopping
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            handler = self.handlers[request.pop("op")]
        except (ValueError, KeyError, AttributeError, TypeError):
            known = ", ".join(sorted(self.handlers))
            return {"ok": False, "error": f"expected a JSON object with an op out of: {known}"}
        try:
            inspect.signature(handler).bind(**request)
        except TypeError as error:
            return {"ok": False, "error": str(error)}
        try:
            return {"ok": True, **await handler(**request)}
        except (StackError, ValueError) as error:
            return {"ok": False, "error": str(error)}


async def call_async(
    where: StackStatus | Path | str, op: str, *, within_s: float = 10, **fields: Any
) -> dict[str, Any]:
    """Asks a stack's owner; returns its answer. Raises ControlError when it refuses or does not answer in time."""
    path = where.control if isinstance(where, StackStatus) else str(where)
    try:
        answer = await asyncio.wait_for(_exchange(path, json.dumps({"op": op, **fields})), within_s)
    except TimeoutError:
        raise ControlError(f"the stack's owner did not answer {op} within {within_s:g} s") from None
    except OSError as error:
        raise ControlError(f"the stack's owner cannot be reached at {path}: {error.strerror or error}") from None
    return _accepted(answer, op)


def call(where: StackStatus | Path | str, op: str, *, within_s: float = 10, **fields: Any) -> dict[str, Any]:
    """``call_async`` for a program without an event loop."""
    path = where.control if isinstance(where, StackStatus) else str(where)
    answer = b""
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(within_s)
            connection.connect(path)
            connection.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = stream.readline()
    except TimeoutError:
        raise ControlError(f"the stack's owner did not answer {op} within {within_s:g} s") from None
    except OSError as error:
        raise ControlError(f"the stack's owner cannot be reached at {path}: {error.strerror or error}") from None
    return _accepted(answer, op)


async def _exchange(path: str, request: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
    try:
        writer.write(request.encode() + b"\n")
        return await reader.readline()
    finally:
        writer.close()


def _accepted(line: bytes, op: str) -> dict[str, Any]:
    if not line:
        raise ControlError(f"the stack's owner ended before it answered {op}")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise ControlError(f"{op}: {answer['error']}")
    return answer
