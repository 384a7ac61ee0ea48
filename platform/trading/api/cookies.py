"""The session's cookie, and the check that a write it came with was asked for by a page of our own."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response

from trading.api.errors import ApiError
from trading.infra.settings import Settings

COOKIE: Final = "elson_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def session_token(request: Request, settings: Settings) -> str | None:
    return request.cookies.get(_name(settings))


def set_session(response: Response, token: str, settings: Settings) -> None:
    """It ends with the browser's session, and no script, other site or other path of this one gets hold of it."""
    response.set_cookie(_name(settings), token, path="/", httponly=True, samesite="strict", secure=settings.behind_tls)


def drop_session(response: Response, settings: Settings) -> None:
    response.delete_cookie(_name(settings), path="/", httponly=True, samesite="strict", secure=settings.behind_tls)


def _name(settings: Settings) -> str:
    """Behind TLS with the prefix that keeps other hosts of our domain from setting it (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-{COOKIE}" if settings.behind_tls else COOKIE


def require_own_page(request: Request) -> None:
    """Raises ApiError unless the browser says that the request comes from this very origin.

    Browsers send Sec-Fetch-Site, older ones at least Origin with every write; a client that sends neither is no
    browser, and may as well use a key.
    """
    if _is_foreign(request) is not False:
        raise ApiError(403, "a request with a session's cookie must come from a page of this origin")


def refuse_foreign_page(request: Request) -> None:
    """Raises ApiError when a page of another origin asks; clients that are no browsers may."""
    if _is_foreign(request):
        raise ApiError(403, "a page of another origin may not do this")


def _is_foreign(request: Request) -> bool | None:
    """None when nothing tells."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site != "same-origin"
    return None if origin is None else urlsplit(origin).netloc != request.headers.get("host")
