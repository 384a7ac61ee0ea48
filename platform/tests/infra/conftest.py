"""The schema on a PostgreSQL pair."""

from __future__ import annotations

from tests.engine.conftest import database, shared_postgres

__all__ = ["database", "shared_postgres"]
