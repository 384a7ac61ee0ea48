"""The engine's HTTP side: commands from the apis, its state, its health."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from trading.engine.lanes import OverloadedError
from trading.engine.node import EngineNode, NotLeadingError
from trading.infra.database import DatabaseError
from trading.infra.telemetry import metrics_response
from trading.wire.engine import COMMANDS_PATH, decode_commands, encode_answers
from trading.wire.journal import JournalFormatError


def create_app(node: EngineNode) -> Starlette:
    async def state(_request: Request) -> Response:
        return _json(msgspec.json.encode(node.state))

    async def full_state(_request: Request) -> Response:
        return _json(msgspec.json.encode(node.replica.full_state()))

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        status_code = 200 if node.health == "ok" else 503
        return JSONResponse({"status": node.health, "role": node.state.role}, status_code)

    async def metrics(_request: Request) -> Response:
        return metrics_response(node.metrics.registry)

    return Starlette(
        routes=[
            Route(COMMANDS_PATH, _Commands(node), methods=["POST"]),
            Route("/state", state),
            Route("/state/full", full_state),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
        ]
    )


class _Commands:
    """An ASGI application of its own: what wraps other endpoints would cost as much as a batch's apply."""

    def __init__(self, node: EngineNode) -> None:
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await _execute(self._node, await Request(scope, receive).body())
        await response(scope, receive, send)


async def _execute(node: EngineNode, body: bytes) -> Response:
    """409 and 503: nothing was executed. 500: whether it was is not known."""
    try:
        received = decode_commands(body)
    except (JournalFormatError, msgspec.DecodeError, ValueError) as error:
        return Response(str(error), status_code=422)
    try:
        return _json(encode_answers(await node.submit(received)))
    except NotLeadingError:
        return Response("standby", status_code=409)
    except OverloadedError as reason:
        return Response(str(reason), status_code=503, headers={"Retry-After": "1"})
    except (DatabaseError, JournalFormatError) as error:
        return Response(f"outcome unknown: {error}", status_code=500)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
