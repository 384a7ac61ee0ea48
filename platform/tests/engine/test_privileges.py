"""Each process may do with the tables what stands in one place, and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from tests.engine.leader import OPENINGS, buy, leading
from trading.infra import tables
from trading.infra.database import DatabaseError, Pool
from trading.infra.privileges import GRANTS, DatabaseRole
from trading.wire.engine import Done

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
FORBIDDEN = [
    (DatabaseRole.API, "UPDATE journal SET epoch = 0"),
    (DatabaseRole.API, "INSERT INTO orders DEFAULT VALUES"),
    (DatabaseRole.API, "DELETE FROM audit_log"),
    (DatabaseRole.API, "UPDATE audit_log SET who = 'nobody'"),
    (DatabaseRole.ENGINE, "UPDATE journal SET epoch = 0"),
    (DatabaseRole.ENGINE, "SELECT secret_hash FROM api_keys"),
    (DatabaseRole.ENGINE, "UPDATE cluster_epoch SET epoch = 9"),
    (DatabaseRole.FEED, "UPDATE orders SET status = 'filled'"),
    (DatabaseRole.READER, "SELECT password_hash FROM people"),
    (DatabaseRole.FEED, "CREATE TABLE mine (id int)"),
]


def as_role(stack: EmbeddedStack, role: DatabaseRole) -> str:
    return stack.postgres.dsn(stack.postgres.address("postgres:1"), role)


async def test_every_role_holds_exactly_what_the_table_of_grants_gives_it(shared_postgres: EmbeddedStack) -> None:
    async with connection(shared_postgres.postgres_dsn()) as database:
        for role, table, right in product(GRANTS, tables.metadata.tables, RIGHTS):
            granted = right in GRANTS[role].get(table, ()) or (table, right) == ("cluster_epoch", "SELECT")
            assert await database.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table, right) == granted, (
                f"{role}: {right} on {table}"
            )


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN, ids=[f"{role} {text}" for role, text in FORBIDDEN])
async def test_what_is_not_granted_is_refused(
    shared_postgres: EmbeddedStack, role: DatabaseRole, statement: str
) -> None:
    pool = Pool(as_role(shared_postgres, role), "intruder", size=1)
    with pytest.raises(DatabaseError, match=r"InsufficientPrivilegeError: permission denied for (table|schema)"):
        await pool.fetch(statement)
    await pool.close()


async def test_an_engine_leads_and_commits_with_the_rights_of_its_role(
    database: EmbeddedStack,
) -> None:
    async with leading(as_role(database, DatabaseRole.ENGINE)) as leader:
        await leader.submit(*OPENINGS)
        (answer,) = await leader.submit(buy())
        assert isinstance(answer, Done)
        assert leader.committed[-1] == answer.sequence
