"""Many cheap clients of one feed in a process of their own, for ``feed_fanout.py``: they read, count and take times."""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import sys
from base64 import b64encode
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

_MINUTE_NS = 60 * 10**9
# Every market message has exactly one such time: seconds and nanoseconds of when its record was published.
_TIME = re.compile(rb'"t":"[^"]{17}(\d\d)\.(\d{9})Z"')
_TAIL = 64  # longer than that text, which a read may cut in two
_READ_BYTES = 256 * 1024


class Readers:
    """Frames need not be told apart to count what is in them: a server does not mask, and nothing is compressed."""

    def __init__(self, url: str, requests: list[dict[str, Any]], clients: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._tails: dict[socket.socket, bytes] = {}
        for _ in range(clients):
            reader = connected(url, requests)
            reader.setblocking(False)
            self._selector.register(reader, selectors.EVENT_READ)
            self._tails[reader] = b""
        self.begin()

    def begin(self) -> None:
        self._latencies_ns: list[int] = []
        self._first_ns = self._last_ns = 0

    def read(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            reader = key.fileobj
            assert isinstance(reader, socket.socket)
            chunk = reader.recv(_READ_BYTES)
            if not chunk:
                raise SystemExit("the feed closed a reader's connection")
            text = self._tails[reader] + chunk
            end = 0
            now_ns = time_ns()
            for found in _TIME.finditer(text):
                end = found.end()
                sent_ns = int(found[1]) * 10**9 + int(found[2])
                self._latencies_ns.append((now_ns - sent_ns) % _MINUTE_NS)
            self._tails[reader] = text[max(end, len(text) - _TAIL) :]
            self._first_ns = self._first_ns or now_ns
            self._last_ns = now_ns

    def report(self) -> dict[str, float]:
        times_ns = sorted(self._latencies_ns) or [0]
        return {
            "messages": len(self._latencies_ns),
            "seconds": (self._last_ns - self._first_ns) / 1e9,
            "p50_ms": times_ns[len(times_ns) // 2] / 1e6,
            "p99_ms": times_ns[int(len(times_ns) * 0.99)] / 1e6,
        }


def connected(url: str, requests: list[dict[str, Any]]) -> socket.socket:
    """A WebSocket on which ``requests`` have been sent; its answers are not read."""
    server = urlsplit(url)
    client = socket.create_connection((server.hostname, server.port or 80))
    key = b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET {server.path} HTTP/1.1\r\nHost: {server.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(1)
    if b" 101 " not in answer:
        raise SystemExit(f"no WebSocket at {url}: {answer.decode(errors='replace')}")
    for request in requests:
        client.sendall(masked_text(json.dumps(request).encode()))
    return client


def masked_text(payload: bytes) -> bytes:
    """A client's frame; the mask of zeros leaves the payload as it is."""
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


def main() -> None:
    """Says ``ready``; then answers each line of standard input: begin, report, or end."""
    settings = json.loads(sys.argv[1])
    readers = Readers(settings["url"], settings["requests"], settings["clients"])
    os.set_blocking(sys.stdin.fileno(), False)
    print("ready", flush=True)
    while True:
        readers.read(0.02)
        match (sys.stdin.readline() or "").strip():
            case "begin":
                readers.begin()
                print("begun", flush=True)
            case "report":
                print(json.dumps(readers.report()), flush=True)
            case "end":
                return
