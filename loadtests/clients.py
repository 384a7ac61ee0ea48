"""One attempt at one request over pooled keep-alive connections: the load's HTTP client, on gevent.

FastHttpSession is not used on purpose: underneath it, geventhttpclient sends a GET or DELETE again on another
connection when the first one is cut, with any ``max_retries``. A repeated cancel would be a request nobody intended.
"""

from __future__ import annotations

import socket
from http.client import responses
from time import monotonic, time_ns
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import gevent
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

from stack.status import AccountStatus

_IDLE_LIMIT_S: Final = 2.0  # uvicorn closes after five


class Answer(NamedTuple):
    """``status`` is None when no answer came: then ``body`` tells why, and ``refused`` that nothing was sent."""

    status: int | None
    body: bytes
    sent_ns: int
    done_ns: int | None
    refused: bool = False

    @property
    def summary(self) -> str:
        return f"{self.status} {responses.get(self.status, '')}" if self.status else self.body.decode()


class ApiClient:
    """A base URL's connections. ``request`` never raises for what the network or the server does."""

    def __init__(self, url: str, *, connections: int = 512, deadline_s: float = 8.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// URL")
        self.url = url.rstrip("/")
        self._host = parts.netloc
        self._deadline_s = deadline_s
        self._pool = _Connections(parts.hostname, parts.port or 80, size=connections, timeout_s=deadline_s)

    def request(self, method: str, path: str, account: AccountStatus | None, body: bytes = b"") -> Answer:
        """As ``account``; as nobody without one."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if account is not None:
            head += f"APCA-API-KEY-ID: {account.key_id}\r\nAPCA-API-SECRET-KEY: {account.secret_key}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        sent_ns = time_ns()
        deadline = gevent.Timeout.start_new(self._deadline_s)
        try:
            return self._exchange(method, f"{head}\r\n".encode() + body, sent_ns)
        except gevent.Timeout:
            return Answer(None, f"no answer within {self._deadline_s:g} s".encode(), sent_ns, None)
        except ConnectionRefusedError:
            return Answer(None, b"connection refused", sent_ns, None, refused=True)
        except (OSError, HTTPParseError) as error:
            return Answer(None, (str(error) or type(error).__name__).encode(), sent_ns, None)
        finally:
            deadline.close()

    def close(self) -> None:
        self._pool.close()

    def _exchange(self, method: str, message: bytes, sent_ns: int) -> Answer:
        connection = self._pool.get_socket()
        try:
            connection.sendall(message)
        except BaseException:
            self._pool.release_socket(connection)
            raise
        # From here on the response gives the connection back, or closes it when it was not read to its end.
        response = HTTPSocketPoolResponse(connection, self._pool, method=method)
        body = response.read()
        if not response.message_complete:
            response.release()
            raise HTTPParseError("connection closed before end of the body")
        return Answer(response.status_code, body, sent_ns, time_ns())


class _Connections(ConnectionPool):
    """Forgets a connection before its server does: a request sent into a closing one would have no known outcome."""

    def __init__(self, host: str, port: int, *, size: int, timeout_s: float) -> None:
        super().__init__(host, port, host, port, size=size, connection_timeout=timeout_s, network_timeout=timeout_s)
        self._idle_since: dict[gevent.socket.socket, float] = {}

    def after_connect(self, sock: gevent.socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def return_socket(self, sock: gevent.socket.socket) -> None:
        self._idle_since[sock] = monotonic()
        super().return_socket(sock)

    def _is_socket_alive(self, sock: gevent.socket.socket) -> bool:
        idle_s = monotonic() - self._idle_since.pop(sock)
        return idle_s < _IDLE_LIMIT_S and super()._is_socket_alive(sock)
