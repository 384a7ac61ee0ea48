"""The schema on a PostgreSQL pair of its own."""

from __future__ import annotations

from tests.engine.conftest import postgres

__all__ = ["postgres"]
