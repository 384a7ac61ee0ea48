"""The audit, to be read: newest first, page by page. Nothing here changes it, and the database would not let it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from asyncpg import Record
from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from trading.api.admin.audited import router
from trading.api.answer import answer
from trading.api.context import ContextOf
from trading.infra.audit import Filter, page

routes = router()


class AuditQuery(BaseModel):
    """``what`` is method and route or the beginning of that, as in ``PUT /admin/v1/kill_switch``; times exclusive."""

    model_config = ConfigDict(extra="forbid")

    who: Annotated[str | None, Field(max_length=128, pattern=r"^[ -~]*$")] = None
    what: Annotated[str | None, Field(max_length=256, pattern=r"^[ -~]*$")] = None
    after: datetime | None = None
    until: datetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    page_token: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None


@routes.get("/audit")
async def read_audit(query: Annotated[AuditQuery, Query()], shared: ContextOf) -> Response:
    wanted = Filter(
        before_id=query.page_token, who=query.who, action=query.what, after=_utc(query.after), until=_utc(query.until)
    )
    rows = await page(shared.database, wanted, query.limit)
    token = str(rows[-1]["audit_id"]) if len(rows) == query.limit else None
    return answer({"calls": [_shown(row) for row in rows], "next_page_token": token})


def _utc(moment: datetime | None) -> datetime | None:
    """Without an offset it is UTC; what is beyond the calendar there bounds as well as its first or last day."""
    if moment is None or moment.tzinfo is None:
        return moment and moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def _shown(row: Record) -> dict[str, Any]:
    return {
        "id": str(row["audit_id"]),
        "at": row["begun_at"].isoformat(),
        "completed_at": row["completed_at"] and row["completed_at"].isoformat(),
        "who": row["who"],
        "role": row["role"],
        "what": row["action"],
        "target": row["target"],
        "client": row["client"],
        "request_id": row["request_id"],
        "outcome": row["outcome"],
        "status": row["status"],
        "before": _object(row["before"]),
        "after": _object(row["after"]),
    }


def _object(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
