"""Who is who among the cluster's processes, and what they are called inside PostgreSQL."""

from __future__ import annotations

from typing import Final

PAIR: Final = ("postgres:1", "postgres:2")  # one is the primary, the other its synchronous standby
REPLICA: Final = "postgres:3"  # asynchronous, for reads; never promoted without a hand
RECEIVER: Final = "wal:1"  # pg_receivewal: the third copy of the log, without tables
SERVERS: Final = (*PAIR, REPLICA)
NODES: Final = (*SERVERS, RECEIVER)

DATABASE: Final = "elson"
SUPERUSER: Final = "elson"  # the stack's and the supervisor's own
MIGRATOR: Final = "elson_migrator"
ENGINE: Final = "elson_engine"
API: Final = "elson_api"
FEED: Final = "elson_feed"
READER: Final = "elson_reader"
REPLICATOR: Final = "elson_replicator"
ROLES: Final = (SUPERUSER, MIGRATOR, ENGINE, API, FEED, READER, REPLICATOR)


def application_name(node: str) -> str:
    """The node's application_name in pg_stat_replication, its slot and its folder: ``postgres_2``."""
    return node.replace(":", "_")


def other(node: str) -> str:
    """The pair's other server."""
    return PAIR[1] if node == PAIR[0] else PAIR[0]


def synchronous_standby_names(members: tuple[str, ...]) -> str:
    """``FIRST 1 (postgres_2, wal_1)``: servers before the receiver, which cannot serve; "" for no members."""
    names = ", ".join(application_name(node) for node in sorted(members))
    return f"FIRST 1 ({names})" if names else ""
