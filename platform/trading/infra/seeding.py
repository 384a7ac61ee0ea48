"""What a new platform starts with: its instruments and accounts (``python -m trading.infra.seeding SEED.json``).

Everything goes through the engine, so the journal alone can rebuild it; only API keys and people are written beside it.
Running it again changes nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import msgspec

from trading.core.commands import ChangePhase, Command, Deposit, ListInstrument, OpenAccount, SetFees
from trading.core.events import CASH
from trading.core.orders import (
    MICROS_PER_SHARE,
    NS_PER_S,
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    Phase,
    RejectReason,
    Symbol,
)
from trading.infra.database import connect, within
from trading.infra.identity import Role
from trading.infra.keys import secret_hash
from trading.infra.passwords import hash_password
from trading.infra.people import CREATE_PERSON, new_generation
from trading.infra.settings import Settings
from trading.infra.telemetry import log, start_logging
from trading.wire.engine import COMMANDS_PATH, NO_DEADLINE_NS, Answer, Denied, decode_answers, encode_commands
from trading.wire.journal import encode_command

Asked = TypeVar("Asked")

_DEADLINE_S: Final = 30.0
_RETRY_S: Final = 0.05
# Below a dollar prices move by a hundredth of a cent (Regulation NMS, rule 612).
_FINEST_TICK_MICROS: Final = 100
_STORE_KEY: Final = """
INSERT INTO api_keys (key_id, account_id, secret_hash, role, name) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key_id) DO UPDATE SET account_id = excluded.account_id, secret_hash = excluded.secret_hash,
    role = excluded.role, name = excluded.name
"""


class SeedInstrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms that are not given are those of a liquid stock; ``opens`` starts continuous trading at once."""

    symbol: Symbol
    tick_micros: int
    reference_price_micros: int
    sub_dollar_tick_micros: int | None = None
    lot: int = MICROS_PER_SHARE
    collar_ppm: int = 200_000
    band_ppm: int = 100_000
    halt_ns: int = 5 * NS_PER_S
    tradable: bool = True
    shortable: bool = False
    fractionable: bool = False
    opens: bool = True

    @property
    def terms(self) -> Instrument:
        terms = {name: getattr(self, name) for name in Instrument._fields}
        if self.sub_dollar_tick_micros is None:
            terms["sub_dollar_tick_micros"] = gcd(self.tick_micros, _FINEST_TICK_MICROS)
        return Instrument(**terms)


class SeedAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account_id: AccountId
    name: str
    key_id: str
    secret_key: str
    cash_micros: int
    shares: dict[str, int]  # whole ones
    multiplier: int = 1
    role: Role = Role.TRADER


class SeedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key beside the accounts' own."""

    name: str
    role: Role
    key_id: str
    secret_key: str
    account_id: AccountId | None = None


class SeedPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: Role
    password: str
    account_id: AccountId | None = None


class SeedFees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    taker_ppb: int = 0
    maker_ppb: int = 0
    regulatory_ppb: int = 0
    regulatory_nanos_per_share: int = 0
    regulatory_cap_micros: int = 0

    @property
    def schedule(self) -> FeeSchedule:
        return FeeSchedule(*msgspec.structs.astuple(self))


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    instruments: list[SeedInstrument]
    accounts: list[SeedAccount]
    fees: SeedFees = SeedFees()
    keys: list[SeedKey] = []
    people: list[SeedPerson] = []


class SeedingError(Exception):
    """No engine took the commands in time, or it refused one."""


async def seed_platform(settings: Settings, seed: Seed) -> None:
    """Raises SeedingError or DatabaseError. A command is repeated only when it certainly was not executed."""
    hashing = asyncio.gather(*(asyncio.to_thread(hash_password, person.password) for person in seed.people))
    listed = await _execute(settings, [ListInstrument(0, instrument.terms) for instrument in seed.instruments])
    opened = await _execute(
        settings, [OpenAccount(0, a.account_id, AccountTerms(multiplier=a.multiplier)) for a in seed.accounts]
    )
    new_instruments = _accepted(seed.instruments, listed, RejectReason.ALREADY_EXISTS)
    new_accounts = _accepted(seed.accounts, opened, RejectReason.ALREADY_EXISTS)
    if new_instruments and seed.fees != SeedFees():
        _accepted([seed.fees], await _execute(settings, [SetFees(0, seed.fees.schedule)]))
    commands = [deposit for account in new_accounts for deposit in _deposits(account)]
    commands += [ChangePhase(0, i.symbol, Phase.CONTINUOUS) for i in new_instruments if i.opens]
    _accepted(commands, await _execute(settings, commands))
    await _store_identities(settings, seed, await hashing)


def _accepted(asked: Sequence[Asked], answers: list[Answer], *excused: RejectReason) -> list[Asked]:
    """What was executed. Raises SeedingError for a refusal of any other than the ``excused`` reasons."""
    done: list[Asked] = []
    for one, answer in zip(asked, answers, strict=True):
        if not isinstance(answer, Denied):
            done.append(one)
        elif answer.reason not in excused:
            raise SeedingError(f"refused: {answer.message}")
    return done


def _deposits(account: SeedAccount) -> list[Command]:
    holdings = {asset: shares * MICROS_PER_SHARE for asset, shares in account.shares.items()}
    holdings[CASH] = account.cash_micros
    return [Deposit(0, account.account_id, asset, amount) for asset, amount in holdings.items() if amount]


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


async def _store_identities(settings: Settings, seed: Seed, hashes: Sequence[str]) -> None:
    pepper = settings.key_pepper.get_secret_value()
    holders: list[SeedAccount | SeedKey] = [*seed.accounts, *seed.keys]
    keys = [(key.key_id, key.account_id, secret_hash(pepper, key.secret_key), key.role, key.name) for key in holders]
    people = [
        (person.name, person.role, person.account_id, password_hash, new_generation())
        for person, password_hash in zip(seed.people, hashes, strict=True)
    ]
    connection = await connect(settings.postgres_dsn.get_secret_value(), "seeding")
    try:
        await within(connection, connection.executemany(_STORE_KEY, keys), _DEADLINE_S)
        await within(connection, connection.executemany(CREATE_PERSON, people), _DEADLINE_S)
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
