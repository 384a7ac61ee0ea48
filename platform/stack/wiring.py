"""The topology with addresses: each node's port, and for each link where its client connects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stack.errors import StackError
from stack.ports import is_free
from stack.status import LinkStatus
from stack.topology import Link, Node, Role, Topology

HOST = "127.0.0.1"
_CLIENTS_ONLY = (Role.MARKET, Role.LOAD, Role.WAL, Role.SUPERVISOR, Role.BACKUP)


@dataclass(frozen=True, slots=True)
class Wiring:
    """``ports`` by node name; ``listens`` by link name: the proxy's port for a proxied link, else the server's."""

    ports: Mapping[str, int]
    listens: Mapping[str, int]
    links: tuple[Link, ...]

    def address(self, node: Node | str) -> str:
        """``host:port`` of the server itself, past any proxy."""
        return f"{HOST}:{self.ports[node if isinstance(node, str) else node.name]}"

    def listen(self, link: Link) -> str:
        """``host:port`` the link's client connects to."""
        return f"{HOST}:{self.listens[link.name]}"

    def servers(self, client: Node, role: Role) -> list[str]:
        """Addresses under which ``client`` reaches the servers of a role, through its own links."""
        return [self.listen(link) for link in self.links if link.client == client and link.server.role is role]

    def status(self) -> list[LinkStatus]:
        return [
            LinkStatus(
                name=link.name,
                from_=link.client.name,
                to=link.server.name,
                proxied=link.proxied,
                listen=self.listen(link),
                upstream=self.address(link.server),
            )
            for link in self.links
        ]


def wire(topology: Topology, take_port: Callable[[], int], fixed: Mapping[str, int]) -> Wiring:
    """Gives every server node and every proxied link a port; ``fixed`` names the port of some nodes.

    Raises StackError when a fixed port is taken or names no node.
    """
    servers = [node for node in topology.nodes if node.role not in _CLIENTS_ONLY]
    if unknown := fixed.keys() - {node.name for node in servers}:
        raise StackError(f"no server node is called {', '.join(sorted(unknown))}")
    for name, port in fixed.items():
        if not is_free(port):
            raise StackError(f"port {port}, wanted for {name}, is taken on {HOST}")
    ports = {node.name: fixed.get(node.name) or take_port() for node in servers}
    listens = {link.name: take_port() if link.proxied else ports[link.server.name] for link in topology.links}
    return Wiring(ports, listens, topology.links)
