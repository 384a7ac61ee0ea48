"""The PostgreSQL cluster: its servers, the receiver that keeps a third copy, and the supervisor that fails over."""

from stack.postgres.pair import (
    DATABASE,
    USER,
    PostgresPair,
    accepts,
    connection,
    create_database,
    require_standby,
    standby_is_synchronous,
    sync_state,
)

__all__ = [
    "DATABASE",
    "USER",
    "PostgresPair",
    "accepts",
    "connection",
    "create_database",
    "require_standby",
    "standby_is_synchronous",
    "sync_state",
]
