"""/auth/v1: people log in with name and password, and out; their session is a cookie that works on every route."""

from __future__ import annotations

import logging
import math
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from trading.api.answer import answer
from trading.api.context import Context, ContextOf, Who
from trading.api.cookies import drop_session, refuse_foreign_page, session_token, set_session
from trading.api.errors import ApiError
from trading.infra.identity import Identity
from trading.infra.passwords import MAX_LENGTH, MIN_LENGTH
from trading.infra.people import (
    NAME_PATTERN,
    Person,
    end_sessions,
    get_person,
    password_hash_of,
    rehash,
    set_password,
)
from trading.infra.rate_limits import LimitClass
from trading.infra.telemetry import log

router = APIRouter(prefix="/auth/v1")

_is_name: Final = re.compile(NAME_PATTERN).fullmatch


class LoginRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=MAX_LENGTH)]


class PasswordRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    password: Annotated[str, Field(max_length=MAX_LENGTH)]
    new_password: Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]


@router.post("/login")
async def log_in(login: LoginRequest, request: Request, shared: ContextOf) -> Response:
    """Always a new session; one whose cookie came along is over."""
    refuse_foreign_page(request)
    person = await _person_with(login.name, login.password, shared)
    return await _begin_session(person, request, shared)


@router.get("/session")
async def show_session(who: Who) -> Response:
    return answer(_shown(who))


@router.post("/logout", status_code=204, response_class=Response)
async def log_out(request: Request, shared: ContextOf, who: Who) -> Response:
    token, _ = await _session(request, shared)
    await shared.sessions.end(token)
    return _logged_out(shared)


@router.post("/logout_everywhere", status_code=204, response_class=Response)
async def log_out_everywhere(request: Request, shared: ContextOf, who: Who) -> Response:
    _, person = await _session(request, shared)
    await end_sessions(shared.database, person.name)
    await shared.sessions.end_all(person.name)
    log("logged_out_everywhere", person=person.name)
    return _logged_out(shared)


@router.post("/password")
async def change_password(change: PasswordRequest, request: Request, shared: ContextOf, who: Who) -> Response:
    """Ends all sessions, and begins a new one for who asked."""
    _, person = await _session(request, shared)
    await _person_with(person.name, change.password, shared)
    changed = await set_password(shared.database, person.name, await shared.passwords.hash(change.new_password))
    await shared.sessions.end_all(person.name)
    if changed is None:
        raise _wrong()
    log("password_changed", person=person.name)
    return await _begin_session(changed, request, shared)


async def _person_with(name: str, password: str, shared: Context) -> Person:
    """Whom both belong to. Wrong ones are refused alike, in the same time; too many before they are looked at."""
    decision = await shared.limiter.take(LimitClass.NAMES, name)
    if not decision.allowed:
        raise ApiError(429, f"too many log-ins; the next one in {math.ceil(decision.retry_after_s)} s")
    known = await password_hash_of(shared.database, name) if _is_name(name) else None
    if not await shared.passwords.verify(known, password):
        log("login_refused", level=logging.WARNING, person=name if known else None)
        raise _wrong()
    if known is not None and shared.passwords.outdated(known):
        await rehash(shared.database, name, known, await shared.passwords.hash(password))
    person = await get_person(shared.database, name)
    if person is None:
        raise _wrong()
    return person


def _wrong() -> ApiError:
    return ApiError(401, "name or password is wrong")


async def _begin_session(person: Person, request: Request, shared: Context) -> Response:
    before = session_token(request, shared.settings)
    if before is not None:
        await shared.sessions.end(before)
    source = request.client.host if request.client else ""
    token = await shared.sessions.begin(person, source)
    log("logged_in", person=person.name, source=source)
    response = answer(_shown(person.identity))
    set_session(response, token, shared.settings)
    return response


async def _session(request: Request, shared: Context) -> tuple[str, Person]:
    """The session that asks. Raises ApiError for a key, which has none."""
    token = session_token(request, shared.settings)
    person = await shared.sessions.person_of(token) if token else None
    if token is None or person is None or request.scope["identity"] != person.identity:
        raise ApiError(422, "there is no session: whoever asks with a key is not logged in")
    return token, person


def _logged_out(shared: Context) -> Response:
    response = Response(status_code=204)
    drop_session(response, shared.settings)
    return response


def _shown(identity: Identity) -> dict[str, Any]:
    return {"name": identity.name, "role": identity.role, "account_id": identity.account_id}
