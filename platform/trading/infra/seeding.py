"""Opens the accounts a new platform starts with (``python -m trading.infra.seeding SEED.json``).

Everything goes through the engine, so the journal alone can rebuild it; only API keys are written beside it.
Running it again changes nothing.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from trading.core.commands import Command, Deposit, ListInstrument, OpenAccount
from trading.core.events import CASH
from trading.core.orders import AccountId, RejectReason, Symbol
from trading.infra.database import connect, within
from trading.infra.keys import secret_hash
from trading.infra.settings import Settings
from trading.infra.telemetry import log, start_logging
from trading.wire.engine import COMMANDS_PATH, NO_DEADLINE_NS, Answer, Denied, decode_answers, encode_commands
from trading.wire.journal import encode_command

_DEADLINE_S: Final = 30.0
_RETRY_S: Final = 0.05
_STORE_KEY: Final = """
INSERT INTO api_keys (key_id, account_id, secret_hash) VALUES ($1, $2, $3)
ON CONFLICT (key_id) DO UPDATE SET account_id = excluded.account_id, secret_hash = excluded.secret_hash
"""


class SeedInstrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    symbol: str
    tick_micros: int


class SeedAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account_id: int
    name: str
    key_id: str
    secret_key: str
    cash_micros: int
    shares: dict[str, int]


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    instruments: list[SeedInstrument]
    accounts: list[SeedAccount]


class SeedingError(Exception):
    """No engine took the commands in time, or it refused one."""


async def seed_platform(settings: Settings, seed: Seed) -> None:
    """Raises SeedingError or DatabaseError. A command is repeated only when it certainly was not executed."""
    opened = await _execute(settings, _openings(seed))
    for answer in opened:
        if isinstance(answer, Denied) and answer.reason is not RejectReason.ALREADY_EXISTS:
            raise SeedingError(f"refused: {answer.message}")
    fresh = [
        account
        for account, answer in zip(seed.accounts, opened[len(seed.instruments) :], strict=True)
        if not isinstance(answer, Denied)
    ]
    for answer in await _execute(settings, [deposit for account in fresh for deposit in _deposits(account)]):
        if isinstance(answer, Denied):
            raise SeedingError(f"refused: {answer.message}")
    await _store_keys(settings, seed)


def _openings(seed: Seed) -> list[Command]:
    return [
        *(ListInstrument(0, Symbol(instrument.symbol), instrument.tick_micros) for instrument in seed.instruments),
        *(OpenAccount(0, AccountId(account.account_id)) for account in seed.accounts),
    ]


def _deposits(account: SeedAccount) -> list[Command]:
    holdings = {CASH: account.cash_micros, **account.shares}
    return [Deposit(0, AccountId(account.account_id), asset, amount) for asset, amount in holdings.items() if amount]


async def _execute(settings: Settings, commands: list[Command]) -> list[Answer]:
    body = encode_commands((NO_DEADLINE_NS, encode_command(command)) for command in commands)
    try:
        async with asyncio.timeout(_DEADLINE_S), aiohttp.ClientSession() as http:
            while True:
                for engine in settings.engines:
                    answers = await _post(http, engine, body)
                    if answers is not None:
                        return answers
                await asyncio.sleep(_RETRY_S)
    except TimeoutError:
        raise SeedingError(f"no active engine among {', '.join(settings.engines)} within {_DEADLINE_S:g} s") from None


async def _post(http: aiohttp.ClientSession, engine: str, body: bytes) -> list[Answer] | None:
    try:
        async with http.post(engine + COMMANDS_PATH, data=body) as response:
            text = await response.read()
            match response.status:
                case 200:
                    return decode_answers(text)
                case 409 | 503:
                    return None
                case status:
                    raise SeedingError(f"{engine} answered {status}: {text[:200]!r}")
    except aiohttp.ClientConnectorError:
        return None
    except (aiohttp.ClientError, OSError) as error:
        raise SeedingError(f"{engine} broke off, and may have executed what it was sent: {error}") from error


async def _store_keys(settings: Settings, seed: Seed) -> None:
    pepper = settings.key_pepper.get_secret_value()
    rows = [(account.key_id, account.account_id, secret_hash(pepper, account.secret_key)) for account in seed.accounts]
    connection = await connect(settings.postgres_dsn.get_secret_value(), "seeding")
    try:
        await within(connection, connection.executemany(_STORE_KEY, rows), _DEADLINE_S)
    finally:
        connection.terminate()


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    seed = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Seed)
    asyncio.run(seed_platform(settings, seed))
    log("seeded", instruments=len(seed.instruments), accounts=len(seed.accounts))


if __name__ == "__main__":
    main()
