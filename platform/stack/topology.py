"""The picture as data: nodes (processes with a role) and links (client-to-server connection paths)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    POSTGRES = "postgres"
    WAL = "wal"  # receives the log of the primary: the third copy, and the archive's source
    SUPERVISOR = "supervisor"  # of the PostgreSQL cluster
    BACKUP = "backup"
    REDIS = "redis"
    SENTINEL = "sentinel"
    TOXIPROXY = "toxiproxy"
    ENGINE = "engine"
    API = "api"
    FEED = "feed"
    MARKET = "market"
    LOAD = "load"


POSTGRES_PRIMARY: Final = "postgres:primary"
POSTGRES_STANDBY: Final = "postgres:standby"  # the synchronous one
POSTGRES_REPLICA: Final = "postgres:replica"  # the one for reads
REDIS_PRIMARY: Final = "redis:primary"
REDIS_REPLICA: Final = "redis:replica"
# Who holds them changes while the platform runs.
MOVING_ROLES: Final = (
    *("engine:active", "engine:standby"),
    *(POSTGRES_PRIMARY, POSTGRES_STANDBY, POSTGRES_REPLICA),
    *(REDIS_PRIMARY, REDIS_REPLICA),
)


@dataclass(frozen=True, slots=True)
class Node:
    """``name`` is ``role:instance``, as in ``engine:1``, ``postgres:2`` or ``wal:1``."""

    role: Role
    instance: str

    @property
    def name(self) -> str:
        return f"{self.role}:{self.instance}"


@dataclass(frozen=True, slots=True)
class Link:
    """The path from one client node to one server node; ``proxied`` puts its own Toxiproxy proxy into it."""

    client: Node
    server: Node
    proxied: bool = False

    @property
    def name(self) -> str:
        return f"{self.client.name}->{self.server.name}"


@dataclass(frozen=True, slots=True)
class Account:
    """A seeded account, its API key, and what it starts with. ``multiplier`` 2: a margin account."""

    account_id: int
    name: str
    key_id: str
    secret_key: str = field(repr=False)
    cash_micros: int
    shares: dict[str, int]
    multiplier: int = 1
    role: str = "trader"  # or market_maker


@dataclass(frozen=True, slots=True)
class Key:
    """A seeded API key beside the accounts' own; an officer's has no account."""

    name: str
    role: str  # of ``trading.infra.identity.Role``
    account_id: int | None
    key_id: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody seeded who logs in with a password."""

    name: str
    role: str
    account_id: int | None
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is listed: fields of ``trading.core.orders.Instrument``. None leaves a term to the seeding's default."""

    symbol: str
    tick_micros: int
    reference_price_micros: int
    sub_dollar_tick_micros: int | None = None
    lot: int | None = None
    collar_ppm: int | None = None
    band_ppm: int | None = None
    halt_ns: int | None = None
    shortable: bool | None = None
    fractionable: bool | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """``small_disk``: the PostgreSQL server whose data have a disk of their own (``small_disk.SmallDisk``), if any."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    instruments: tuple[Instrument, ...]
    accounts: tuple[Account, ...]
    keys: tuple[Key, ...] = ()
    people: tuple[Person, ...] = ()
    small_disk: str | None = None


class UnknownSelectorError(ValueError):
    """A fault or scenario names a node or link that the topology does not have."""


def platform_topology(
    *,
    instruments: Iterable[Instrument],
    accounts: Iterable[Account],
    proxied: Iterable[str] = (),
    engines: int = 2,
    apis: int = 2,
    feeds: int = 1,
    load_workers: int = 0,
    small_disk: str | None = None,
) -> Topology:
    """The embedded platform: PostgreSQL cluster, Redis pair and sentinels, Toxiproxy, engines, apis, feeds, clients.

    A distributed load is ``load:1``, the master, and a node for each worker; all of them use the master's links.
    ``proxied`` holds link selectors (see ``matching_links``); each link one matches gets a proxy. ``small_disk``
    names one of the database's pair.
    Raises UnknownSelectorError for a selector that matches no link.
    """
    *pair, replica = postgres_nodes()
    receiver, supervisor, backup = Node(Role.WAL, "1"), Node(Role.SUPERVISOR, "1"), Node(Role.BACKUP, "1")
    redis, toxiproxy = redis_nodes(), Node(Role.TOXIPROXY, "1")
    engine_nodes = tuple(Node(Role.ENGINE, str(n + 1)) for n in range(engines))
    api_nodes = tuple(Node(Role.API, str(n + 1)) for n in range(apis))
    feed_nodes = tuple(Node(Role.FEED, str(n + 1)) for n in range(feeds))
    market, load = Node(Role.MARKET, "1"), Node(Role.LOAD, "1")
    workers = tuple(Node(Role.LOAD, str(n + 2)) for n in range(load_workers))
    paths = [
        *((follower, server) for follower in (*pair, replica, receiver) for server in pair if server != follower),
        *((engine, server) for engine in engine_nodes for server in (*pair, *redis)),
        *((api, server) for api in api_nodes for server in (*engine_nodes, *pair, replica, *redis)),
        *((feed, server) for feed in feed_nodes for server in (*redis, *pair)),
        *((client, api) for client in (market, load) for api in api_nodes),
        *((load, feed) for feed in feed_nodes),
    ]
    links = tuple(Link(client, server) for client, server in paths)
    chosen = {link.name for selector in proxied for link in matching_links(links, selector)}
    servers = (*pair, replica, receiver, supervisor, backup, *redis, *sentinel_nodes(), toxiproxy)
    return Topology(
        nodes=(*servers, *engine_nodes, *api_nodes, *feed_nodes, market, load, *workers),
        links=tuple(Link(link.client, link.server, proxied=link.name in chosen) for link in links),
        instruments=tuple(instruments),
        accounts=tuple(accounts),
        small_disk=small_disk,
    )


def postgres_nodes() -> tuple[Node, ...]:
    """The pair, of which the first begins as the primary, then the replica for reads, which never becomes one."""
    return tuple(Node(Role.POSTGRES, str(n + 1)) for n in range(3))


def redis_nodes() -> tuple[Node, ...]:
    """The pair; the first begins as its primary, and who is later is for the sentinels to say."""
    return Node(Role.REDIS, "1"), Node(Role.REDIS, "2")


def sentinel_nodes() -> tuple[Node, ...]:
    """As many as let two agree when one is away. They are reached directly, past any proxy."""
    return tuple(Node(Role.SENTINEL, str(n + 1)) for n in range(3))


def matching_links(links: Iterable[Link], selector: str) -> list[Link]:
    """Links whose ends match ``client->server``; an end is a role (``engine``) or a node (``engine:1``).

    A moving role (``postgres:primary``) matches whoever may come to hold it. Raises UnknownSelectorError when nothing
    matches.
    """
    client, arrow, server = selector.partition("->")
    if not arrow:
        raise UnknownSelectorError(f"{selector!r} is no link: expected CLIENT->SERVER, as in engine->postgres")
    links = list(links)
    found = [link for link in links if _is(link.client, client.strip()) and _is(link.server, server.strip())]
    if not found:
        known = sorted({f"{link.client.role}->{link.server.role}" for link in links})
        raise UnknownSelectorError(f"no link matches {selector!r}; there are {', '.join(known)}")
    return found


def _is(node: Node, selector: str) -> bool:
    return selector in (node.role.value, node.name) or (selector in MOVING_ROLES and _may_hold(node, selector))


def _may_hold(node: Node, moving_role: str) -> bool:
    if moving_role.partition(":")[0] != node.role.value:
        return False
    *pair, replica = postgres_nodes()
    return node.role is not Role.POSTGRES or node in ((replica,) if moving_role == POSTGRES_REPLICA else pair)
