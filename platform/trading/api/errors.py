"""Every error of the API as ``{"code", "message"}``: Alpaca's shape, the code begins with the HTTP status."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from trading.api.engine_client import EngineBusyError, OutcomeUnknownError
from trading.core.orders import RejectReason
from trading.infra.database import DatabaseError
from trading.infra.passwords import PasswordsBusyError
from trading.infra.sessions import SessionsAwayError
from trading.wire.engine import Denied

# Anything else the core refuses is 422.
_STATUS_OF_REASON: Final = {
    RejectReason.UNKNOWN_ORDER: 404,
    RejectReason.INSUFFICIENT_BUYING_POWER: 403,
    RejectReason.INSUFFICIENT_SHARES: 403,
    RejectReason.ACCOUNT_BLOCKED: 403,
    RejectReason.KILL_SWITCH: 403,
    RejectReason.ORDER_QUANTITY_LIMIT: 403,
    RejectReason.ORDER_VALUE_LIMIT: 403,
    RejectReason.OPEN_ORDER_LIMIT: 403,
    RejectReason.POSITION_LIMIT: 403,
    RejectReason.ORDER_RATE_LIMIT: 429,
}

# What Alpaca calls a wrong parameter has this code, although its status is 422.
WRONG_PARAMETER: Final = 40010001
_WRONG_PARAMETERS: Final = (
    *(RejectReason.CLIENT_ORDER_ID_REUSED, RejectReason.INVALID_CLIENT_ORDER_ID),
    *(RejectReason.INVALID_TERMS, RejectReason.INVALID_QUANTITY),
)


class ApiError(Exception):
    """A definite answer: the request changed nothing."""

    def __init__(self, status: int, message: str, *, detail: int = 10000, code: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.code = status * 100_000 + detail if code is None else code


def refusal(denied: Denied) -> ApiError:
    if denied.reason in _WRONG_PARAMETERS:
        return ApiError(422, denied.message, code=WRONG_PARAMETER)
    return ApiError(_STATUS_OF_REASON.get(denied.reason, 422), denied.message)


def answer_to(error: Exception) -> JSONResponse:
    """The one answer per kind of failure; ``error`` is one of ANSWERED."""
    match error:
        case ApiError():
            return _body(error.status, error.code, error.message)
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            answer = _body(error.status_code, error.status_code * 100_000, str(error.detail))
            answer.headers.update(error.headers or {})
            return answer
        case OutcomeUnknownError():
            return _body(504, 50410000, f"outcome unknown: {error}")
        case _:
            return _retry_later(f"not executed: {error}")


ANSWERED: Final = (
    *(ApiError, RequestValidationError, HTTPException),
    *(OutcomeUnknownError, EngineBusyError, DatabaseError),
    *(SessionsAwayError, PasswordsBusyError),
)


def install(app: FastAPI) -> None:
    """Makes these the answers of every route."""

    async def handle(_request: Request, error: Exception) -> JSONResponse:
        return answer_to(error)

    for kind in ANSWERED:
        app.add_exception_handler(kind, handle)


def _invalid(error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _body(400, 40010000, f"request body format is invalid: no JSON at position {first['loc'][-1]}")
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return _body(422, WRONG_PARAMETER, f"{where}: {first['msg']}"[:500])


def _body(status: int, code: int, message: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status)


def _retry_later(message: str) -> JSONResponse:
    answer = _body(503, 50310000, message)
    answer.headers["Retry-After"] = "1"
    return answer
