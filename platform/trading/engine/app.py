"""The engine's HTTP side: commands from the apis, its state, its health."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response

from trading.engine.lanes import OverloadedError
from trading.engine.node import EngineNode, NotLeadingError
from trading.infra.database import DatabaseError
from trading.infra.telemetry import metrics_response
from trading.wire.engine import COMMANDS_PATH, decode_commands, encode_answers
from trading.wire.journal import JournalFormatError


def create_app(node: EngineNode) -> FastAPI:
    app = FastAPI(title="Elson engine", openapi_url=None)

    @app.post(COMMANDS_PATH)
    async def commands(request: Request) -> Response:
        return await _execute(node, await request.body())

    @app.get("/state")
    async def state() -> Response:
        return _json(msgspec.json.encode(node.state))

    @app.get("/state/full")
    async def full_state() -> Response:
        return _json(msgspec.json.encode(node.replica.full_state()))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, str]:
        response.status_code = 200 if node.health == "ok" else 503
        return {"status": node.health, "role": node.state.role}

    @app.get("/metrics")
    async def metrics() -> Response:
        return metrics_response(node.metrics.registry)

    return app


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
    except OverloadedError:
        return Response("queue full", status_code=503, headers={"Retry-After": "1"})
    except (DatabaseError, JournalFormatError) as error:
        return Response(f"outcome unknown: {error}", status_code=500)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
