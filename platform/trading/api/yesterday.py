"""How the day began, at midnight UTC: prices and what each account had. None of it changes before the next midnight."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trading.api.equity import equities, read_book
from trading.api.holdings import Account
from trading.core.orders import NS_PER_S, AccountId
from trading.infra.database import Pool
from trading.infra.moments import last_record_before, last_trades_before, prices_at
from trading.wire.market_data import DAY_NS

_MAX_ACCOUNTS: Final = 10_000
# A record that was stamped before midnight may become visible a little after it.
_SETTLED_NS: Final = 10 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account was worth at midnight, in micro-dollars, and the shares it had; ``sequence``: the last record."""

    sequence: int = 0
    equity: int = 0
    quantities: Mapping[str, int] = field(default_factory=dict)


class Yesterday:
    """Remembers what it has looked up until the next day."""

    def __init__(self, database: Pool) -> None:
        self._database = database
        self.midnight_ns = 0
        self._last_trade: int | None = None
        self._closes: dict[str, int | None] = {}
        self._openings: dict[AccountId, Opening] = {}

    async def closes(self, symbols: Iterable[str]) -> dict[str, int]:
        """Each symbol's last price before midnight, in micro-dollars; nothing for one that was not traded before."""
        midnight_ns = self._begin_day()
        missing = [symbol for symbol in symbols if symbol not in self._closes]
        if missing:
            last = self._last_trade
            if last is None:
                last = (await last_trades_before([midnight_ns], self._database))[midnight_ns]
            found = await prices_at(missing, [last], self._database) if last else {}
            if midnight_ns == self.midnight_ns:
                self._last_trade = last
                self._closes |= {symbol: found.get((symbol, last)) for symbol in missing}
        return {symbol: price for symbol in symbols if (price := self._closes.get(symbol)) is not None}

    async def opening(self, account_id: AccountId, account: Account) -> Opening:
        """Raises DatabaseError."""
        midnight_ns = self._begin_day()
        if account.opened_at_ns >= midnight_ns:
            return Opening()
        opening = self._openings.get(account_id)
        if opening is None:
            opening = await self._read(account_id, midnight_ns)
            if len(self._openings) >= _MAX_ACCOUNTS:
                self._openings.clear()
            if midnight_ns == self.midnight_ns:
                self._openings[account_id] = opening
        return opening

    async def _read(self, account_id: AccountId, midnight_ns: int) -> Opening:
        book = await read_book(account_id, [midnight_ns], self._database)
        (equity,) = await equities(book, [midnight_ns], time.time_ns(), self._database)
        ((*_, quantities),) = book.rolled_back(1)
        return Opening(await last_record_before(midnight_ns, self._database), equity, quantities)

    def _begin_day(self) -> int:
        """The last midnight; what is remembered of an earlier day is forgotten."""
        now_ns = time.time_ns()
        midnight_ns = now_ns // DAY_NS * DAY_NS
        if midnight_ns != self.midnight_ns or now_ns < midnight_ns + _SETTLED_NS:
            self.midnight_ns, self._last_trade = midnight_ns, None
            self._closes.clear()
            self._openings.clear()
        return midnight_ns
