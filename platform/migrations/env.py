"""Runs the revisions in one transaction over asyncpg; the address comes from whoever calls."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from trading.infra import privileges
from trading.infra.database import connect
from trading.infra.tables import metadata


def _upgrade(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
        roles = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
        for statement in privileges.statements(roles):  # with each change, so that no table is forgotten
            connection.execute(text(statement))


async def _run() -> None:
    dsn = context.config.attributes["dsn"]
    # SQLAlchemy knows neither several hosts nor all of libpq's parameters: we connect for it.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(dsn, "migrate"), poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade)
        await connection.commit()
    await engine.dispose()


asyncio.run(_run())
