"""Who is meant by a name: nodes and links by their own names, and the roles that move between nodes."""

from __future__ import annotations

from dataclasses import dataclass

from stack.errors import UnresolvedError
from stack.postgres_watch import PostgresWatch
from stack.redis_watch import RedisWatch
from stack.roles import RoleWatch
from stack.topology import MOVING_ROLES, REDIS_PRIMARY, REDIS_REPLICA, Link, Node, Role, Topology, UnknownSelectorError


@dataclass(slots=True)
class Names:
    """The three that know who holds a role are there once the stack's start has begun."""

    topology: Topology
    engines: RoleWatch | None = None
    postgres: PostgresWatch | None = None
    redis: RedisWatch | None = None

    def find(self, name: str) -> Node:
        """A node by its name, or who holds a role of PostgreSQL or Redis. Raises UnknownSelectorError."""
        if self.postgres:
            name = self.postgres.holder(name) or name
        elif name in MOVING_ROLES:
            raise UnresolvedError(f"nobody is {name} before the platform is started")
        if self.redis and name in (REDIS_PRIMARY, REDIS_REPLICA):
            name = self.redis.primary if name == REDIS_PRIMARY else self.redis.replica
        for node in self.topology.nodes:
            if node.name == name:
                return node
        raise UnknownSelectorError(f"no node is called {name!r}")

    async def resolve(self, selector: str) -> list[Node]:
        """The nodes a selector means now: a role (``api``), a node (``api:2``), or one of MOVING_ROLES.

        Raises UnknownSelectorError for one that can never match, UnresolvedError when no engine answers in that role.
        """
        role, _, instance = selector.partition(":")
        if role == Role.ENGINE and instance in ("active", "standby"):
            found = set(await self.engines.with_role(instance)) if self.engines else set()
            if not found:
                raise UnresolvedError(f"no engine is {instance} at this moment")
        elif selector in MOVING_ROLES:
            if self.redis and role == Role.REDIS:
                await self.redis.ask()
            found = {self.find(selector).name}
        else:
            found = {node.name for node in self.topology.nodes if selector in (node.role.value, node.name)}
            if not found:
                known = ", ".join((*(node.name for node in self.topology.nodes), *MOVING_ROLES))
                raise UnknownSelectorError(f"no node is called {selector!r}; there are {known}")
        return [node for node in self.topology.nodes if node.name in found]

    async def resolve_links(self, selector: str) -> list[Link]:
        """The links from one selector's nodes to another's, as in ``engine:active->postgres``. Raises likewise."""
        client, arrow, server = (part.strip() for part in selector.partition("->"))
        if not arrow:
            raise UnknownSelectorError(f"{selector!r} is no link: expected CLIENT->SERVER, as in engine->postgres")
        clients, servers = await self.resolve(client), await self.resolve(server)
        found = [link for link in self.topology.links if link.client in clients and link.server in servers]
        if not found:
            raise UnknownSelectorError(f"no link matches {selector!r}")
        return found

    def role(self, node: Node) -> str:
        """What the node is at this moment, as last heard; its role in the picture where there is but one."""
        match node.role:
            case Role.ENGINE:
                return (self.engines and self.engines.role(node.name)) or node.role.value
            case Role.POSTGRES | Role.WAL if self.postgres:
                return self.postgres.role(node.name)
            case Role.REDIS if self.redis:
                return self.redis.role(node.name)
            case _:
                return node.role.value
