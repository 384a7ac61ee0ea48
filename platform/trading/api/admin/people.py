"""People who log in, and their sessions. Whatever changes somebody ends their sessions; passwords are never shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import ConfigDict, Field

from trading.api.admin.accounts import get_known_account
from trading.api.admin.audited import ChangeOf, router
from trading.api.admin.execution import turn, written
from trading.api.admin.requests import Body, Id
from trading.api.answer import answer
from trading.api.context import Context, ContextOf
from trading.api.errors import ApiError
from trading.core.orders import AccountId
from trading.infra.identity import OFFICERS, Role
from trading.infra.passwords import MAX_LENGTH, MIN_LENGTH
from trading.infra.people import (
    NAME_PATTERN,
    Person,
    change_person,
    create_person,
    delete_person,
    end_sessions,
    get_person,
    list_people,
)
from trading.infra.sessions import Session, SessionsAwayError

routes = router()

_ADVICE: Final = "the list of people tells"

_Password = Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
_Role = Annotated[Role, Field(strict=False)]
_NamePath = Annotated[str, Path(pattern=NAME_PATTERN)]


class _PersonBody(Body):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class NewPersonBody(_PersonBody):
    """Officers have no account; all others need one."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    role: _Role
    account_id: Id | None = None
    password: _Password


class PersonBody(_PersonBody):
    """What is not given stays, but that somebody who becomes an officer has no account any more."""

    role: _Role | None = None
    account_id: Id | None = None
    password: _Password | None = None


@routes.get("/people")
async def get_people(shared: ContextOf) -> Response:
    return answer([_shown(person) for person in await list_people(shared.database)])


@routes.post("/people")
async def add_person(body: NewPersonBody, shared: ContextOf, change: ChangeOf) -> Response:
    account_id = await _account(body.role, body.account_id, shared)
    password_hash = await shared.passwords.hash(body.password)
    async with written(_ADVICE):
        person = await create_person(shared.database, body.name, body.role, account_id, password_hash=password_hash)
    if person is None:
        raise ApiError(422, f"name: {body.name} is taken")
    change.after = _shown(person)
    return answer(change.after, 201)


@routes.patch("/people/{name}")
async def change(body: PersonBody, name: _NamePath, shared: ContextOf, change: ChangeOf) -> Response:
    if not body.model_fields_set:
        raise ApiError(422, "body: nothing to change")
    async with turn(f"person {name}", shared):
        before = await _known(name, shared)
        change.before, role = _shown(before), body.role or before.role
        kept = None if role in OFFICERS else before.account_id
        account_id = await _account(role, body.account_id or kept, shared)
        password_hash = None if body.password is None else await shared.passwords.hash(body.password)
        async with written(_ADVICE):
            person = await change_person(shared.database, name, role, account_id, password_hash=password_hash)
    change.after = {**_shown(_still(person, name)), "password_changed": body.password is not None}
    await _end_sessions(name, shared)
    return answer(_shown(_still(person, name)))


@routes.delete("/people/{name}", status_code=204, response_class=Response)
async def remove_person(name: _NamePath, shared: ContextOf, change: ChangeOf) -> Response:
    change.before = _shown(await _known(name, shared))
    async with written(_ADVICE):
        await delete_person(shared.database, name)
    await _end_sessions(name, shared)
    return Response(status_code=204)


@routes.get("/people/{name}/sessions")
async def get_sessions(name: _NamePath, shared: ContextOf) -> Response:
    await _known(name, shared)
    return answer([_session(session) for session in await shared.sessions.list(name)])


@routes.delete("/people/{name}/sessions", status_code=204, response_class=Response)
async def end_all_sessions(name: _NamePath, shared: ContextOf, change: ChangeOf) -> Response:
    await _known(name, shared)
    with suppress(SessionsAwayError):  # only the row of the audit says less then
        change.before = {"sessions": [_session(session) for session in await shared.sessions.list(name)]}
    async with written("ending them again is safe"):
        _still(await end_sessions(shared.database, name), name)
    await _end_sessions(name, shared)
    change.after = {"sessions": []}
    return Response(status_code=204)


async def _end_sessions(name: str, shared: Context) -> None:
    """Takes out of Redis what the database has ended already: without Redis it ends all the same."""
    with suppress(SessionsAwayError):
        await shared.sessions.end_all(name)


async def _account(role: Role, account_id: int | None, shared: Context) -> AccountId | None:
    """Raises ApiError for a role with an account that does not go with it."""
    if (role in OFFICERS) != (account_id is None):
        having = "has no account" if role in OFFICERS else "needs an account"
        raise ApiError(422, f"account_id: a {role} {having}")
    if account_id is None:
        return None
    await get_known_account(AccountId(account_id), shared)
    return AccountId(account_id)


async def _known(name: str, shared: Context) -> Person:
    return _still(await get_person(shared.database, name), name)


def _still(person: Person | None, name: str) -> Person:
    """Raises ApiError (404)."""
    if person is None:
        raise ApiError(404, f"person {name} not found")
    return person


def _shown(person: Person) -> dict[str, Any]:
    created_at = person.created_at.isoformat()
    return {"name": person.name, "role": person.role, "account_id": person.account_id, "created_at": created_at}


def _session(session: Session) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "began_at": session.began_at.isoformat(),
        "seen_at": session.seen_at.isoformat(),
        "ends_at": session.ends_at.isoformat(),
        "source": session.source,
    }
