"""The OpenAPI document's part on who may ask: it is read off the table of access, not declared at each route."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from trading.api.access import Table
from trading.api.context import KEY_ID_HEADER, SECRET_HEADER
from trading.api.cookies import COOKIE

_SCHEMES: Final = {
    "key_id": {"type": "apiKey", "in": "header", "name": KEY_ID_HEADER},
    "secret_key": {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}
_WAYS: Final[list[dict[str, list[str]]]] = [{"key_id": [], "secret_key": []}, {"session": []}]


def describe_access(app: FastAPI, table: Table) -> None:
    """Adds to each operation that asks who is there how to say it."""
    undescribed = app.openapi

    def describe() -> dict[str, Any]:
        fresh, document = app.openapi_schema is None, undescribed()
        if fresh:
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    if table.get((method.upper(), path)) is not None:
                        operation["security"] = _WAYS
        return document

    app.openapi = describe  # type: ignore[method-assign]
