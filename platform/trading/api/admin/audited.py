"""A route of which every call is written down before it does anything: who, what, from where, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from trading.api import errors
from trading.api.context import Context, identify
from trading.infra import audit
from trading.infra.audit import Call, Change
from trading.infra.database import DatabaseError
from trading.infra.identity import Identity
from trading.infra.telemetry import log

_PREFIX: Final = "/admin/v1"
_LONGEST_TARGET: Final = 256

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class AuditedRoute(APIRoute):
    """Around everything the route does, its refusals included.

    Without a valid identity there is no row: it would say nothing about who, and let strangers write to the database.
    """

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def audited(request: Request) -> Response:
            shared: Context = request.app.state.context
            identity = await identify(request, shared)
            if identity is None:
                return await handle(request)
            audit_id = await audit.begin(shared.database, _call(request, identity))
            request.state.change = change = Change()
            response = await _answered(handle, request)
            await _complete(shared, audit_id, response.status_code, change)
            return response

        return audited


def router() -> APIRouter:
    return APIRouter(prefix=_PREFIX, route_class=AuditedRoute)


def _change(request: Request) -> Change:
    change: Change = request.state.change
    return change


# Where a route puts the object it concerns, for the row of its call.
ChangeOf = Annotated[Change, Depends(_change)]


async def _answered(handle: Handler, request: Request) -> Response:
    """A defect is not answered here: its row stays begun, for nobody knows how far it came."""
    try:
        return await handle(request)
    except errors.ANSWERED as error:
        return errors.answer_to(error)


async def _complete(shared: Context, audit_id: int, status: int, change: Change) -> None:
    """What was done is answered, even if its row can only be left as it was begun."""
    try:
        await audit.complete(shared.database, audit_id, status, change)
    except DatabaseError as error:
        log("audit_not_completed", level=logging.ERROR, audit_id=audit_id, status=status, reason=str(error))


def _call(request: Request, identity: Identity) -> Call:
    return Call(
        who=identity,
        action=f"{request.method} {request.scope['route'].path}",
        target=_text(request.url.path),
        client=request.client.host if request.client else "",
        request_id=request.scope["request_id"],
    )


def _text(path: str) -> str:
    """What PostgreSQL takes as text: a path may hold any character."""
    return "".join(each if each.isprintable() else "?" for each in path)[:_LONGEST_TARGET]
