"""Bytes that really went over TCP connections, as the kernel counts them.

Toxiproxy's own byte counters move only when a connection ends (v2.12.0 link.go, after io.Copy), so they say
nothing about a connection pool in use. The kernel's socket diagnostics (sock_diag(7)) count live connections.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

Connection = tuple[int, int]  # the client's port, the server's port
Traffic = dict[Connection, int]  # bytes acknowledged and received so far

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_TCP_ESTABLISHED = 1
_INET_DIAG_INFO = 2
_HEADER = struct.Struct("=IHHII")
_BYTES_ACKED_OFFSET = 120  # struct tcp_info: tcpi_bytes_acked, then tcpi_bytes_received
_ATTRIBUTES_OFFSET = 72  # after struct inet_diag_msg


def traffic_to(port: int) -> Traffic:
    """Bytes in both directions on every established IPv4 connection whose far end is ``port``."""
    request = struct.pack("=BBBBI48x", socket.AF_INET, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, 1 << 1)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
        netlink.send(header + request)
        found = {}
        for message in _messages(netlink):
            source, destination = struct.unpack_from("!HH", message, 4)
            if destination == port:
                found[source, destination] = _bytes_moved(message)
        return found


def bytes_between(before: Traffic, after: Traffic) -> int:
    """What the connections alive at ``after`` moved since ``before``; a connection that closed counts nothing."""
    return sum(moved - before.get(connection, 0) for connection, moved in after.items())


def _messages(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(1 << 18)
        offset = 0
        while offset < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", data, offset + _HEADER.size)
                raise OSError(-code, "the kernel refused socket diagnostics")
            yield data[offset + _HEADER.size : offset + length]
            offset += (length + 3) & ~3


def _bytes_moved(message: bytes) -> int:
    offset = _ATTRIBUTES_OFFSET
    while offset < len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        if kind == _INET_DIAG_INFO:
            acked, received = struct.unpack_from("=QQ", message, offset + 4 + _BYTES_ACKED_OFFSET)
            return int(acked + received)
        offset += (length + 3) & ~3
    return 0
