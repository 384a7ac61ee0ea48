"""What every database of the cluster holds before the platform's own schema: roles, rights, the cluster's epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stack.postgres.nodes import API, DATABASE, ENGINE, FEED, MIGRATOR, READER, REPLICATOR, ROLES, SUPERUSER
from stack.postgres.settings import quoted

_LIMITS: Final[Mapping[str, Mapping[str, str]]] = {
    ENGINE: {"idle_in_transaction_session_timeout": "2s", "lock_timeout": "2s"},
    API: {"idle_in_transaction_session_timeout": "2s", "lock_timeout": "2s", "statement_timeout": "10s"},
    FEED: {"idle_in_transaction_session_timeout": "2s", "lock_timeout": "2s", "statement_timeout": "10s"},
    READER: {"default_transaction_read_only": "on", "statement_timeout": "10s"},
}

EPOCH_TABLE: Final = f"""
CREATE TABLE IF NOT EXISTS cluster_epoch (
    id smallint PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, changed_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE cluster_epoch OWNER TO {MIGRATOR};
GRANT SELECT ON cluster_epoch TO PUBLIC;
INSERT INTO cluster_epoch (id, epoch) VALUES (1, 1) ON CONFLICT DO NOTHING;
"""

# A repeated promotion, by a supervisor that died after the first, writes the same number again.
WRITE_EPOCH: Final = """
INSERT INTO cluster_epoch (id, epoch) VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET epoch = greatest(cluster_epoch.epoch, excluded.epoch), changed_at = now()
RETURNING epoch
"""

DROP_LOST_SLOT: Final = """
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
WHERE slot_name = $1::name AND wal_status = 'lost' AND NOT active
"""
# $2: whether it keeps the log from now on, or from when it is first used.
CREATE_SLOTS: Final = """
SELECT pg_create_physical_replication_slot(wanted, $2) FROM unnest($1::text[]) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = wanted)
"""


def create_roles(passwords: Mapping[str, str]) -> str:
    """The roles that log in, each with no more than it needs; run it in the new database as the superuser."""
    statements = [f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC"]
    for role in ROLES:
        if role == SUPERUSER:
            continue
        rights = " REPLICATION" if role == REPLICATOR else ""
        statements.append(f"CREATE ROLE {role} LOGIN{rights} PASSWORD {quoted(passwords[role])}")
        if role != REPLICATOR:
            statements.append(f"GRANT CONNECT ON DATABASE {DATABASE} TO {role}")
        limits = _LIMITS.get(role, {})
        statements += [f"ALTER ROLE {role} SET {name} = {quoted(value)}" for name, value in limits.items()]
    statements.append(f"GRANT pg_read_all_stats TO {API}")  # /health tells of the followers
    statements.append(f"GRANT CREATE, TEMPORARY ON DATABASE {DATABASE} TO {MIGRATOR}")
    statements.append(f"ALTER SCHEMA public OWNER TO {MIGRATOR}")
    return ";\n".join([*statements, ""])
