"""Every route lets in whom the table says, and nobody else, to what is theirs."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
import pytest
from fastapi.routing import iter_route_contexts

from stack.embedded import EmbeddedStack
from tests.access.own_api import own_api
from tests.access.people import Asker, key_headers, with_keys, with_sessions
from tests.access.walk import Route, Walk
from trading.api.access import TABLE, AccessError, Right, Rights
from trading.api.app import create_app
from trading.infra.identity import OFFICERS, Role
from trading.infra.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

SETTINGS = {"node": "api:test", "port": 1, "postgres_dsn": "none", "engine_urls": "http://none"}


def all_routes() -> list[Route]:
    """What the application serves, whatever the table says."""
    contexts = iter_route_contexts(create_app(Settings.model_validate(SETTINGS)).routes)
    return sorted((method, str(c.path)) for c in contexts for method in (c.methods or set()) - {"HEAD"})


def walk(stack: EmbeddedStack, http: aiohttp.ClientSession, base: str, askers: list[Asker]) -> Walk:
    other = stack.topology.accounts[1]
    return Walk(http, base, askers, key_headers(other.key_id, other.secret_key))


async def test_every_route_and_every_role_are_as_the_table_says(
    gate: EmbeddedStack, http: aiohttp.ClientSession
) -> None:
    assert {asker.role for asker in with_keys(gate)} == {None, *Role}
    base = gate.status().endpoints["api"][0]
    assert await walk(gate, http, base, with_keys(gate)).differences(all_routes(), dict(TABLE)) == []


async def test_a_session_opens_what_a_key_of_its_role_opens(gate: EmbeddedStack, http: aiohttp.ClientSession) -> None:
    base = gate.status().endpoints["api"][1]
    askers = await with_sessions(gate, http, base)
    askers.sort(key=lambda asker: asker.role != "trader")
    assert {asker.role for asker in askers} == set(Role)
    # Logging out as one of them would be the end of the walk.
    routes = [route for route in all_routes() if not route[1].startswith("/auth/v1/logout")]
    assert await walk(gate, http, base, askers).differences(routes, dict(TABLE)) == []


@pytest.mark.parametrize(
    ("route", "role", "right"),
    [
        (("POST", "/v2/orders"), Role.ANALYST, Right.OWN),
        (("DELETE", "/v2/orders/{order_id}"), Role.ANALYST, Right.OWN),
        (("GET", "/v2/account"), Role.TRADER, Right.NONE),
        (("GET", "/v2/clock"), Role.OPERATOR, Right.NONE),
    ],
)
async def test_one_wrong_cell_of_the_table_is_found(
    gate: EmbeddedStack, http: aiohttp.ClientSession, route: Route, role: Role, right: Right
) -> None:
    wrong = {**TABLE, route: with_cell(TABLE[route], role, right)}
    async with own_api(gate, table=wrong) as (base, _):
        found = await walk(gate, http, base, with_keys(gate)).differences([route], dict(TABLE))
    assert {(difference.who, difference.path) for difference in found} == {(f"{role} by key", route[1])}


def with_cell(rights: Rights, role: Role, right: Right) -> Rights:
    assert rights is not None
    assert rights[role] is not right
    return {**rights, role: right}


async def test_a_route_without_a_row_stops_the_application_from_being_made() -> None:
    without: Mapping[Route, Rights] = {row: rights for row, rights in TABLE.items() if row != ("GET", "/v2/clock")}
    with pytest.raises(AccessError, match="GET /v2/clock has no row"):
        create_app(Settings.model_validate(SETTINGS), table=without)


async def test_the_table_has_no_row_without_a_route() -> None:
    assert set(TABLE) - set(all_routes()) == set()


async def test_an_account_is_needed_for_what_is_an_accounts_own_and_officers_have_none() -> None:
    own = {role for rights in TABLE.values() if rights for role, right in rights.items() if right is Right.OWN}
    assert not own & OFFICERS
