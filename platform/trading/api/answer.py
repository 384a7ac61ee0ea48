"""Answers encoded in one step: the framework's own walk over every field costs more than the order it describes."""

from __future__ import annotations

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder().encode


def answer(body: object, status: int = 200) -> Response:
    return Response(_encode(body), status, media_type="application/json")
