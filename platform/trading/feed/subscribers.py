"""Who is to be told what: sessions by channel and symbol, so that a record touches only its own subscribers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from trading.core.orders import AccountId
from trading.feed.market_view import ORDERBOOKS, QUOTES, Broadcast
from trading.feed.messages import Message
from trading.feed.requests import CONNECTION_LIMIT_EXCEEDED, EVERY, SYMBOL_LIMIT_EXCEEDED, RequestError
from trading.feed.session import Session


@dataclass(frozen=True, slots=True)
class Limits:
    """Of this process; ``symbols`` counts a connection's subscriptions in all channels, one for ``*``."""

    connections: int = 2_000
    connections_per_key: int = 1_000
    symbols: int = 2_000


class Subscribers:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.sessions: set[Session] = set()
        self._per_key: Counter[str] = Counter()
        self._groups: dict[tuple[str, str], set[Session]] = defaultdict(set)
        self._listeners: dict[AccountId, set[Session]] = {}
        self.listening: frozenset[AccountId] = frozenset()

    # -- coming and going --------------------------------------------------------------------------

    def admit(self, session: Session) -> None:
        """Raises RequestError when there are too many already."""
        if len(self.sessions) >= self._limits.connections:
            raise RequestError(*CONNECTION_LIMIT_EXCEEDED)
        self.sessions.add(session)

    def admit_key(self, key_id: str) -> None:
        """One more connection of this key, to be discarded with its session. Raises RequestError."""
        if self._per_key[key_id] >= self._limits.connections_per_key:
            raise RequestError(*CONNECTION_LIMIT_EXCEEDED)
        self._per_key[key_id] += 1

    def discard(self, session: Session) -> None:
        self.sessions.discard(session)
        for channel, symbols in session.channels.items():
            self.unsubscribe(session, channel, list(symbols))
        self.listen(session, None)
        if session.key_id is not None:
            self._per_key[session.key_id] -= 1
            self._per_key += Counter()  # forgets keys that have none

    # -- subscriptions -----------------------------------------------------------------------------

    def subscribe(self, session: Session, wanted: dict[str, list[str]]) -> None:
        """Raises RequestError, and subscribes to nothing, when that is too much."""
        after = {channel: symbols.union(wanted.get(channel, ())) for channel, symbols in session.channels.items()}
        if sum(map(len, after.values())) > self._limits.symbols:
            raise RequestError(*SYMBOL_LIMIT_EXCEEDED)
        session.channels.update(after)
        for channel, symbols in wanted.items():
            for symbol in symbols:
                self._groups[channel, symbol].add(session)

    def unsubscribe(self, session: Session, channel: str, symbols: list[str]) -> None:
        session.channels[channel].difference_update(symbols)
        for symbol in symbols:
            group = self._groups.get((channel, symbol))
            if group is not None:
                group.discard(session)
                if not group:
                    del self._groups[channel, symbol]

    def listen(self, session: Session, account_id: AccountId | None) -> None:
        """From now on the session hears of this account's orders alone, or of nobody's."""
        if session.listening is not None:
            listeners = self._listeners[session.listening]
            listeners.discard(session)
            if not listeners:
                del self._listeners[session.listening]
        if account_id is not None:
            self._listeners.setdefault(account_id, set()).add(session)
        session.listening = account_id
        self.listening = frozenset(self._listeners)

    # -- telling -----------------------------------------------------------------------------------

    def tell(self, said: Broadcast, symbol_sequence: int | None) -> None:
        """Queues a record's messages. The book's comes last: it ends the record."""
        for channel, symbol, message in said.bars:
            for session in self._of(channel, symbol):
                session.send(message)
        for account_id, update in said.updates:
            for session in self._listeners.get(account_id, ()):
                session.send_update(update)
        if said.symbol is not None and said.book is not None and symbol_sequence is not None:
            self._tell_market(said.symbol, symbol_sequence, said.book, said)

    def _tell_market(self, symbol: str, sequence: int, book: Message, said: Broadcast) -> None:
        for channel, message in said.others:
            for session in self._of(channel, symbol):
                session.send(message)
        if said.quote is not None:
            for session in self._of(QUOTES, symbol):
                session.send_quote(symbol, said.quote)
        for session in self._of(ORDERBOOKS, symbol):
            session.send_book(symbol, sequence, book)

    def _of(self, channel: str, symbol: str) -> Collection[Session]:
        group, every = self._groups.get((channel, symbol)), self._groups.get((channel, EVERY))
        if not every:
            return group or ()
        return group | every if group else every
