"""/v2/watchlists: an account's own ordered lists of assets, by id and by name."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import asyncpg
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trading.api.answer import answer
from trading.api.assets import assets_of
from trading.api.context import Caller, Context, ContextOf
from trading.api.engine_client import OutcomeUnknownError
from trading.api.errors import WRONG_PARAMETER, ApiError
from trading.core.orders import AccountId
from trading.infra.database import DatabaseError
from trading.wire.orders import asset_uuid

router = APIRouter(prefix="/v2")

MAX_LISTS: Final = 100
MAX_SYMBOLS: Final = 500

_COLUMNS: Final = "watchlist_id, name, symbols, created_at, updated_at"
_LIST: Final = f"SELECT {_COLUMNS} FROM watchlists WHERE account_id = $1 ORDER BY created_at, watchlist_id"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM watchlists WHERE account_id = $1 AND watchlist_id = $2"
_BY_NAME: Final = f"SELECT {_COLUMNS} FROM watchlists WHERE account_id = $1 AND name = $2"
_COUNT: Final = "SELECT count(*) FROM watchlists WHERE account_id = $1"

_CREATE: Final = f"""
INSERT INTO watchlists (watchlist_id, account_id, name, symbols) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, name) DO NOTHING RETURNING {_COLUMNS}
"""
_UPDATE: Final = f"""
UPDATE watchlists SET name = coalesce($2, name), symbols = coalesce($3, symbols), updated_at = now()
WHERE watchlist_id = $1 RETURNING {_COLUMNS}
"""
# Added and removed where the list is, so that of two changes at the same time none is lost.
_ADD: Final = f"""
UPDATE watchlists SET updated_at = now(),
    symbols = CASE WHEN $2 = ANY(symbols) THEN symbols ELSE array_append(symbols, $2) END
WHERE watchlist_id = $1 AND ($2 = ANY(symbols) OR cardinality(symbols) < $3) RETURNING {_COLUMNS}
"""
_REMOVE: Final = f"""
UPDATE watchlists SET updated_at = now(), symbols = array_remove(symbols, $2)
WHERE watchlist_id = $1 AND $2 = ANY(symbols) RETURNING {_COLUMNS}
"""
_DELETE: Final = "DELETE FROM watchlists WHERE watchlist_id = $1 RETURNING watchlist_id"


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("expected printable characters")
    return name


def _each_once(symbols: list[str]) -> list[str]:
    return list(dict.fromkeys(symbols))


_Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
_Symbol = Annotated[str, Field(min_length=1, max_length=16)]
_Symbols = Annotated[list[_Symbol], Field(max_length=MAX_SYMBOLS), AfterValidator(_each_once)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWatchlist(_Body):
    name: _Name
    symbols: _Symbols | None = None


class ChangedWatchlist(_Body):
    """``symbols`` replaces the list."""

    name: _Name | None = None
    symbols: _Symbols | None = None


class AddedSymbol(_Body):
    symbol: _Symbol


# -- which one -------------------------------------------------------------------------------------


async def _by_id(watchlist_id: str, account_id: Caller, shared: ContextOf) -> asyncpg.Record:
    try:
        wanted = UUID(watchlist_id)
    except ValueError:
        raise _not_found(watchlist_id) from None
    return _only(await shared.database.fetch(_BY_ID, account_id, wanted), watchlist_id)


async def _by_name(name: Annotated[_Name, Query()], account_id: Caller, shared: ContextOf) -> asyncpg.Record:
    return _only(await shared.database.fetch(_BY_NAME, account_id, name), name)


def _only(rows: list[asyncpg.Record], asked: str) -> asyncpg.Record:
    if not rows:
        raise _not_found(asked)
    return rows[0]


def _not_found(asked: str) -> ApiError:
    return ApiError(404, f"watchlist not found for {asked[:64]}")


OneById = Annotated[asyncpg.Record, Depends(_by_id)]
OneByName = Annotated[asyncpg.Record, Depends(_by_name)]

# -- routes ----------------------------------------------------------------------------------------


@router.get("/watchlists")
async def list_watchlists(account_id: Caller, shared: ContextOf) -> Response:
    """Without their assets."""
    rows = await shared.database.fetch(_LIST, account_id)
    return answer([_public(row, account_id) for row in rows])


@router.post("/watchlists")
async def create_watchlist(new: NewWatchlist, account_id: Caller, shared: ContextOf) -> Response:
    symbols = new.symbols or []
    await assets_of(symbols, shared.database)
    # Two at the same time may both be the last one: that is a bound missed by one, and nobody's harm.
    ((count,),) = await shared.database.fetch(_COUNT, account_id)
    if count >= MAX_LISTS:
        raise ApiError(422, f"an account has at most {MAX_LISTS} watchlists", code=WRONG_PARAMETER)
    rows = await _write(shared, _CREATE, uuid4(), account_id, new.name, symbols)
    if not rows:
        raise _name_taken(new.name)
    return await _whole(rows[0], account_id, shared)


@router.get("/watchlists:by_name")
async def get_watchlist_by_name(one: OneByName, account_id: Caller, shared: ContextOf) -> Response:
    return await _whole(one, account_id, shared)


@router.get("/watchlists/{watchlist_id}")
async def get_watchlist(one: OneById, account_id: Caller, shared: ContextOf) -> Response:
    return await _whole(one, account_id, shared)


@router.put("/watchlists:by_name")
async def change_watchlist_by_name(
    one: OneByName, change: ChangedWatchlist, account_id: Caller, shared: ContextOf
) -> Response:
    return await _change(one, change, account_id, shared)


@router.put("/watchlists/{watchlist_id}")
async def change_watchlist(one: OneById, change: ChangedWatchlist, account_id: Caller, shared: ContextOf) -> Response:
    return await _change(one, change, account_id, shared)


@router.post("/watchlists:by_name")
async def add_symbol_by_name(one: OneByName, added: AddedSymbol, account_id: Caller, shared: ContextOf) -> Response:
    return await _add(one, added.symbol, account_id, shared)


@router.post("/watchlists/{watchlist_id}")
async def add_symbol(one: OneById, added: AddedSymbol, account_id: Caller, shared: ContextOf) -> Response:
    return await _add(one, added.symbol, account_id, shared)


@router.delete("/watchlists:by_name", status_code=204, response_class=Response)
async def delete_watchlist_by_name(one: OneByName, shared: ContextOf) -> None:
    await _write(shared, _DELETE, one["watchlist_id"])


@router.delete("/watchlists/{watchlist_id}", status_code=204, response_class=Response)
async def delete_watchlist(one: OneById, shared: ContextOf) -> None:
    await _write(shared, _DELETE, one["watchlist_id"])


@router.delete("/watchlists/{watchlist_id}/{symbol}")
async def remove_symbol(symbol: str, one: OneById, account_id: Caller, shared: ContextOf) -> Response:
    if symbol not in one["symbols"]:
        raise ApiError(404, f"asset not found for {symbol[:64]}")
    return await _changed(await _write(shared, _REMOVE, one["watchlist_id"], symbol), one, account_id, shared)


# -- what they do ----------------------------------------------------------------------------------


async def _change(one: asyncpg.Record, change: ChangedWatchlist, account_id: AccountId, shared: Context) -> Response:
    if change.name is None and change.symbols is None:
        raise ApiError(422, "one of name and symbols is needed", code=WRONG_PARAMETER)
    await assets_of(change.symbols or [], shared.database)
    rows = await _write(shared, _UPDATE, one["watchlist_id"], change.name, change.symbols)
    return await _changed(rows, one, account_id, shared)


async def _add(one: asyncpg.Record, symbol: str, account_id: AccountId, shared: Context) -> Response:
    await assets_of([symbol], shared.database)
    rows = await _write(shared, _ADD, one["watchlist_id"], symbol, MAX_SYMBOLS)
    if not rows and len(one["symbols"]) >= MAX_SYMBOLS:
        raise ApiError(422, f"a watchlist has at most {MAX_SYMBOLS} symbols", code=WRONG_PARAMETER)
    return await _changed(rows, one, account_id, shared)


async def _changed(
    rows: list[asyncpg.Record], before: asyncpg.Record, account_id: AccountId, shared: Context
) -> Response:
    """No row: somebody deleted it, or took the symbol off it, since it was looked up."""
    return await _whole(_only(rows, str(before["watchlist_id"])), account_id, shared)


async def _write(shared: Context, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Raises ApiError 422 for a name that the account has already, OutcomeUnknownError for any other failure."""
    try:
        return await shared.database.fetch(statement, *arguments, deadline_s=shared.deadline_s)
    except DatabaseError as error:
        if isinstance(error.__cause__, asyncpg.UniqueViolationError):
            raise _name_taken(str(arguments[1])) from error
        raise OutcomeUnknownError(f"{error}; look the watchlist up") from error


def _name_taken(name: str) -> ApiError:
    return ApiError(422, f"watchlist name must be unique: there is one named {name}", code=WRONG_PARAMETER)


async def _whole(row: asyncpg.Record, account_id: AccountId, shared: Context) -> Response:
    assets = await assets_of(row["symbols"], shared.database)
    return answer({**_public(row, account_id), "assets": assets})


def _public(row: asyncpg.Record, account_id: AccountId) -> dict[str, Any]:
    return {
        "id": str(row["watchlist_id"]),
        "account_id": str(asset_uuid(f"account {account_id}")),
        "name": row["name"],
        "created_at": row["created_at"].isoformat().replace("+00:00", "Z"),
        "updated_at": row["updated_at"].isoformat().replace("+00:00", "Z"),
    }
