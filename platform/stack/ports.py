"""Ports for nodes, chosen so that several stacks on one machine never meet."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from pathlib import Path
from types import TracebackType

from stack.errors import StackError

# Below the kernel's default range for outgoing connections (32768...): a restarted node finds its port still free.
_FIRST, _LAST, _BLOCK = 16_384, 32_767, 64


class PortReserve:
    """Hands out free ports from blocks that other stacks of this user leave alone until this process ends.

    A block is reserved by a lock on a file in ``folder``; the kernel drops it with the process, however that ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: list[int] = []
        self._free: list[int] = []

    def __enter__(self) -> PortReserve:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self) -> int:
        """A port nobody listens on. Raises StackError when none is left."""
        while True:
            if not self._free:
                self._reserve_block()
            port = self._free.pop(0)
            if is_free(port):
                return port

    def release(self) -> None:
        while self._locks:
            os.close(self._locks.pop())

    def _reserve_block(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for start in random.sample(range(_FIRST, _LAST, _BLOCK), k=(_LAST - _FIRST + 1) // _BLOCK):
            lock = os.open(self._folder / f"{start}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self._locks.append(lock)
            self._free = list(range(start, start + _BLOCK))
            return
        raise StackError(f"no free ports: every block from {_FIRST} to {_LAST} is reserved by other stacks")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
