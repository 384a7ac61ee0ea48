"""A subscriber that reads too slowly, against a real WebSocket server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from websockets.sync.server import ServerConnection, serve

from loadtests.slow_reader import Slowness, read_slowly

MESSAGE = "x" * 1_000
MESSAGES = 2_000


def test_it_takes_no_more_than_it_may_while_it_is_slow_then_all_and_then_learns_that_it_was_let_go() -> None:
    slowness = Slowness(bytes_per_s=20_000, seconds=1.0)
    took: list[float] = []
    began = monotonic()
    with _flood() as url, pytest.raises(ConnectionError, match="the server ended the connection"):
        read_slowly(url, ["subscribe"], lambda message: took.append(monotonic()), slowness)
    while_slow = sum(at < began + slowness.seconds for at in took)
    # What it read before it first waited, a chunk, is on top.
    assert 0 < while_slow <= 1.2 * slowness.bytes_per_s * slowness.seconds / len(MESSAGE)
    assert len(took) == MESSAGES


@contextmanager
def _flood() -> Iterator[str]:
    """Sends everything at once to who asked for it, and ends the connection."""

    def send(connection: ServerConnection) -> None:
        assert connection.recv() == "subscribe"
        for _ in range(MESSAGES):
            connection.send(MESSAGE)

    with serve(send, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()
