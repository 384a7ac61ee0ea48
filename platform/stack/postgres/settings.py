"""The settings of every server of the cluster; what differs from server to server is in its identity file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stack.wiring import HOST

# fsync and full_page_writes stay on: "acknowledged" means durable on two of the three copies.
SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "wal_log_hints": "on",  # pg_rewind needs it or checksums; whoever turns one off keeps the other
    "max_wal_senders": "12",
    "max_replication_slots": "12",
    "wal_keep_size": "128MB",  # a promoted server has no slots: what its followers still miss must be there
    "max_slot_wal_keep_size": "1GB",  # a dead slot cannot fill the disk
    "hot_standby": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "checkpoint_timeout": "15min",  # a run is shorter: no checkpoint competes with it for the disk
    "max_wal_size": "2GB",
    "wal_retrieve_retry_interval": "100ms",  # a standby comes back at once when its link heals
    # A dead peer is noticed in seconds, whichever side is left.
    "wal_sender_timeout": "3s",
    "wal_receiver_timeout": "3s",
    "wal_receiver_status_interval": "1s",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",  # a frozen client's locks end with it
    "lock_timeout": "10s",
    "jit": "off",  # compiling costs more than the short statements of an order
    "log_line_prefix": "%m [%p] %a ",
}

IDENTITY_FILE: Final = "identity.conf"

# A promotion copies the open segment to its new timeline, and the receiver fills one with zeros before it confirms
# anything there; orders wait for both. With PostgreSQL's own 16 MiB that took up to a third of a second.
SEGMENT_BYTES: Final = 4 * 1024 * 1024


def configuration() -> str:
    """Appended to the postgresql.conf of the first server, from which all others are copied."""
    lines = [f"{name} = {quoted(value)}" for name, value in SETTINGS.items()]
    return "\n".join([*lines, f"include_if_exists = '{IDENTITY_FILE}'", ""])


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
