"""What each process may do with each table: its database role holds this and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Final

from trading.infra import tables


class DatabaseRole(StrEnum):
    MIGRATOR = "elson_migrator"  # owns the schema
    ENGINE = "elson_engine"
    API = "elson_api"
    FEED = "elson_feed"
    READER = "elson_reader"  # analysts, and whoever asks the read replica


_READ, _ADD, _WRITE, _REMOVE = ("SELECT",), ("SELECT", "INSERT"), ("SELECT", "INSERT", "UPDATE"), ("DELETE",)
# Looking an order up locks its row, which takes the right to change a column: this one only the tables have.
_LOCK_ORDER: Final = "UPDATE (place)"
_COMPLETE_AUDIT: Final = "UPDATE (outcome, status, before, after, completed_at)"

# Orders and what they move come from the engine alone; secrets' hashes and the audit log are nobody's to read but the
# api's. The epoch is locked by who checks it, which takes the right to change it.
GRANTS: Final[dict[DatabaseRole, dict[str, tuple[str, ...]]]] = {
    DatabaseRole.ENGINE: {
        **dict.fromkeys(("leader_epoch", "leader_lease"), ("SELECT", "UPDATE")),
        **dict.fromkeys(("journal", "fills", "ledger", "state_hashes"), _ADD),
        **dict.fromkeys(("orders", "balances", "instruments", "markets", "accounts", "kill_switches"), _WRITE),
        "snapshots": _WRITE + _REMOVE,
        "account_configurations": _READ,
    },
    DatabaseRole.API: {
        **dict.fromkeys(("journal", "fills", "ledger", "state_hashes", "balances", "instruments"), _READ),
        "orders": (*_READ, _LOCK_ORDER),
        **dict.fromkeys(("markets", "accounts", "kill_switches", "leader_epoch", "leader_lease"), _READ),
        **dict.fromkeys(("quotes", "minute_bars", "market_data_progress"), _READ),
        **dict.fromkeys(("account_configurations", "api_keys"), _WRITE),
        **dict.fromkeys(("people", "watchlists"), _WRITE + _REMOVE),
        "audit_log": (*_ADD, _COMPLETE_AUDIT),
    },
    DatabaseRole.FEED: {
        **dict.fromkeys(("journal", "snapshots", "orders", "fills", "balances"), _READ),
        **dict.fromkeys(("instruments", "markets", "accounts", "api_keys"), _READ),
        **dict.fromkeys(("minute_bars", "market_data_progress"), _WRITE),
        "quotes": _ADD + _REMOVE,
    },
    DatabaseRole.READER: dict.fromkeys(
        (table for table in tables.metadata.tables if table not in ("api_keys", "people", "audit_log")), _READ
    ),
}


def statements(roles: Collection[str]) -> Iterator[str]:
    """What makes those of ``roles`` that stand above hold exactly that."""
    for role in GRANTS.keys() & roles:
        for table in tables.metadata.tables:
            yield f"REVOKE ALL ON {table} FROM {role}"
            if granted := GRANTS[role].get(table):
                yield f"GRANT {', '.join(granted)} ON {table} TO {role}"
    yield "GRANT SELECT ON cluster_epoch TO PUBLIC"  # whoever connects must see whether the server is deposed
