"""A WebSocket client that reads too slowly for a while, so that what it does not read piles up at the server.

It drives the protocol itself, on one socket: other clients read as fast as they can and let messages pile up on
their own side, where no server notices.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import gevent
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

_RECEIVE_BUFFER_BYTES: Final = 8 * 1024  # the kernel's: what it takes in unread hides how slow the reader is
_CHUNK_BYTES: Final = 2 * 1024
_SILENCE_LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Slowness:
    """No more than ``bytes_per_s`` for ``seconds`` from the connection on; after that as fast as it can, or it would
    learn only minutes later, from behind all that waits in between, that the server has let go of it."""

    bytes_per_s: float = 2_000.0
    seconds: float = 20.0


def read_slowly(url: str, requests: Sequence[str], take: Callable[[bytes], None], slowness: Slowness) -> None:
    """Sends ``requests`` and gives every text message to ``take``, until the server ends the connection.

    Raises ConnectionError then, TimeoutError when nothing came for five seconds, InvalidHandshake when there was no
    connection.
    """
    wakes = monotonic() + slowness.seconds
    protocol = ClientProtocol(parse_uri(url), max_size=None)
    with socket.socket() as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        connected.settimeout(_SILENCE_LIMIT_S)
        connected.connect((protocol.uri.host, protocol.uri.port))
        protocol.send_request(protocol.connect())
        while True:
            connected.sendall(b"".join(protocol.data_to_send()))
            data = connected.recv(_CHUNK_BYTES)
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
            for event in protocol.events_received():
                match event:
                    case Response():
                        for request in requests:
                            protocol.send_text(request.encode())
                    case Frame(opcode=Opcode.TEXT):
                        take(bytes(event.data))
                    case _:
                        pass
            if protocol.handshake_exc is not None:
                raise protocol.handshake_exc
            if protocol.state is State.CLOSED:
                raise ConnectionError(f"the server ended the connection: {protocol.close_exc}")
            gevent.sleep(len(data) / slowness.bytes_per_s if monotonic() < wakes else 0.0)
