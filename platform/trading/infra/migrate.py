"""Brings the primary's schema to the newest revision (``python -m trading.infra.migrate``)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

import trading
from trading.infra.settings import Settings
from trading.infra.telemetry import log, start_logging

MIGRATIONS = Path(trading.__file__).parents[1] / "migrations"


def migrate(dsn: str) -> None:
    """Raises what Alembic or the driver raises; a failed revision leaves nothing of itself behind."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["dsn"] = dsn
    command.upgrade(config, "head")


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    migrate(settings.postgres_dsn.get_secret_value())
    log("migrated")


if __name__ == "__main__":
    main()
