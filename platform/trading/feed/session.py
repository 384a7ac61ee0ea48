"""One client: what it asked for, and a bounded queue of its own so that it can slow down nobody but itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from trading.core.orders import AccountId
from trading.feed.books import SymbolBook
from trading.feed.frames import Connection, Format, Opcode, array, frame
from trading.feed.messages import Message, encode_json, encode_msgpack
from trading.feed.requests import CHANNELS, SLOW_CLIENT
from trading.infra.identity import Identity

_TRY_AGAIN_LATER: Final = 1013  # https://www.iana.org/assignments/websocket, close codes
_FRAME_MESSAGES: Final = 500
_FRAME_BYTES: Final = 256 * 1024  # clients take a megabyte at most
_CUT_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What may wait for a client, and how long it may take nothing at all."""

    messages: int = 8_000
    size_bytes: int = 4 * 1024 * 1024
    stalled_s: float = 5.0


class Session:
    """Messages wait encoded, and leave as often as the loop turns: all that came since in one write.

    While the client does not keep up with reading, quotes and books are not queued but remembered by symbol: when it
    can take more it gets the newest quote and the whole book. Everything else waits, and when that is too much, or
    takes too long, it is told so and dropped.
    """

    def __init__(
        self,
        connection: Connection,
        form: Format,
        *,
        limits: QueueLimits,
        wake: Callable[[Session], None],
        books: Callable[[], dict[str, SymbolBook]],
    ) -> None:
        self.identity: Identity | None = None
        self.key_id: str | None = None
        self.channels: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        self.listening: AccountId | None = None
        self.ended = False
        self.form = form
        self.opcode = Opcode.BINARY if form is Format.MSGPACK else Opcode.TEXT
        self._json = form is Format.JSON
        self._connection = connection
        self._limits = limits
        self._wake = wake
        self._books = books
        self._frames: list[bytes] = []
        self._batch: list[bytes] = []  # market messages of the frame that is not begun yet
        self._waiting = self._waiting_bytes = self._batch_bytes = 0
        self._awake = False  # whether the hub knows that something waits
        self._sequences: dict[str, int] = {}  # of the book message last queued
        self._newest_quotes: dict[str, Message] = {}
        self._skipped_books: set[str] = set()
        connection.on_writable = self.flush

    # -- market data -------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Queues a market message that must not get lost."""
        self._add(message.json if self._json else message.msgpack)

    def send_quote(self, symbol: str, message: Message) -> None:
        if self._connection.paused_at_s is None:
            self.send(message)
        else:
            self._newest_quotes[symbol] = message

    def send_book(self, symbol: str, sequence: int, message: Message) -> None:
        """A book message; one that is no news to a client who resumed further ahead is left out."""
        if sequence <= self._sequences.get(symbol, -1) or symbol in self._skipped_books:
            return
        if self._connection.paused_at_s is None:
            self._sequences[symbol] = sequence
            self.send(message)
        else:
            self._skipped_books.add(symbol)

    def send_whole_book(self, book: SymbolBook, reason: str) -> None:
        self._skipped_books.discard(book.symbol)
        self._sequences[book.symbol] = book.sequence
        self.send(book.whole(reason))

    def resume_book(self, book: SymbolBook, after: int) -> None:
        """What was said after ``after``, trades and statuses too if they are subscribed; or else the whole book."""
        missed = book.after(after)
        if missed is None or len(missed) > self._limits.messages // 2:
            self.send_whole_book(book, "late")
            return
        self._skipped_books.discard(book.symbol)
        self._sequences[book.symbol] = after
        for said in missed:
            for channel, message in said.others:
                if self.channels[channel] & {book.symbol, "*"}:
                    self.send(message)
            self._sequences[book.symbol] = said.sequence
            self.send(said.book)

    def forget_book(self, symbol: str) -> None:
        self._sequences.pop(symbol, None)
        self._skipped_books.discard(symbol)

    # -- frames of their own -----------------------------------------------------------------------

    def send_update(self, message: Message) -> None:
        """Queues an order update, which is a frame of its own."""
        self._add_frame(message.json if self._json else message.msgpack)

    def answer(self, *messages: dict[str, Any]) -> None:
        """Queues the answer to a request of the market-data stream: alone in its frame."""
        encoded = [encode_json(message) if self._json else encode_msgpack(message) for message in messages]
        self._add_frame(array(self.form, encoded))

    def answer_alone(self, message: dict[str, Any]) -> None:
        """Queues the answer to a request of the trading stream, which is no array."""
        self._add_frame(encode_json(message) if self._json else encode_msgpack(message))

    # -- the way out -------------------------------------------------------------------------------

    @property
    def lagging(self) -> bool:
        return self._connection.paused_at_s is not None

    def flush(self) -> None:
        """Writes all that waits, if the client keeps up with reading."""
        if self._connection.paused_at_s is None:
            if self._newest_quotes or self._skipped_books:
                self._catch_up()
            self._close_batch()
            self._connection.write(b"".join(self._frames))
            self._frames.clear()
            self._waiting = self._waiting_bytes = self._batch_bytes = 0
        self._awake = False

    def is_stalled(self, now_s: float) -> bool:
        """By the loop's clock."""
        paused_at_s = self._connection.paused_at_s
        return paused_at_s is not None and now_s - paused_at_s > self._limits.stalled_s

    def drop_slow(self) -> None:
        """Tells the client that it is too slow, instead of what waits, and cuts it off within a second."""
        if self.ended:
            return
        self._frames, self._batch = [], []
        self._waiting = self._waiting_bytes = self._batch_bytes = 0
        self._newest_quotes.clear()
        self._skipped_books.clear()
        self.fail(*SLOW_CLIENT)
        self._connection.write(b"".join(self._frames))
        self._frames.clear()
        self.end(_TRY_AGAIN_LATER, "slow client")

    def fail(self, code: int, text: str) -> None:
        """Queues an error in the stream's own shape."""
        self.answer({"T": "error", "code": code, "msg": text})

    def end(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection after what is queued."""
        if not self.ended:
            self.flush()
            self.ended = True
            self._connection.end(code, reason, within_s=_CUT_WITHIN_S)

    def _add(self, encoded: bytes) -> None:
        if self.ended:
            return
        self._batch.append(encoded)
        self._batch_bytes += len(encoded)
        if len(self._batch) >= _FRAME_MESSAGES or self._batch_bytes >= _FRAME_BYTES:
            self._close_batch()
        self._count(len(encoded))

    def _add_frame(self, payload: bytes) -> None:
        if self.ended:
            return
        self._close_batch()
        self._frames.append(frame(self.opcode, payload))
        self._count(len(payload))

    def _count(self, size_bytes: int) -> None:
        self._waiting += 1
        self._waiting_bytes += size_bytes
        if self._waiting > self._limits.messages or self._waiting_bytes > self._limits.size_bytes:
            self.drop_slow()
        elif not self._awake:
            self._awake = True
            self._wake(self)

    def _close_batch(self) -> None:
        if self._batch:
            self._frames.append(frame(self.opcode, array(self.form, self._batch)))
            self._batch, self._batch_bytes = [], 0

    def _catch_up(self) -> None:
        quotes, self._newest_quotes = self._newest_quotes, {}
        for message in quotes.values():
            self.send(message)
        skipped, self._skipped_books = self._skipped_books, set()
        books = self._books()
        for symbol in sorted(skipped):
            self.send_whole_book(books[symbol], "lag")


class TradingSession(Session):
    """A client of the trading stream, which knows errors only as what became of an action."""

    def fail(self, code: int, text: str) -> None:
        self.answer_alone({"stream": "error", "data": {"code": code, "msg": text}})
