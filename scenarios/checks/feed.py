"""The feed has no gap, and the book built from it is the engine's book."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from reports.bounds import bound_text
from reports.outage import windows
from reports.record import MissingPartError, Record
from reports.records import FeedStream
from reports.rows import Book, FeedMessage
from scenarios.checks.check import Check, Evidence, Findings, present
from trading.wire.feed import BookBuilder, FeedChecksumError, FeedGapError
from trading.wire.orders import decimal_text, shares_text

BOOK = "o"
# The subscriber's own rows: why it left a connection.
DISCONNECT, GAP, CHECKSUM = "disconnect", "gap", "checksum"
ENDS = (DISCONNECT, GAP, CHECKSUM)


def examine_gaps(record: Record) -> Findings:
    """Per symbol every number once and in order; a connection goes on where the last one ended, or with a snapshot.

    What passed before such a snapshot was missed. That is a fault's doing only if a fault was at work there. Numbers
    that the feed says it left out, because the subscriber was too slow for them, are no gap. What the subscriber found
    by a heartbeat is one whatever fault was at work: a connection that lives leaves nothing out.
    """
    spans = windows(record)
    sessions = list(_sessions(_book_messages(record)))
    violations: list[Evidence] = []
    last: dict[str, int] = {}
    count = missed = left_ns = 0
    for session in sessions:
        seen: set[str] = set()
        problem: str | None = None
        for message in session:
            if message.kind == GAP:
                if problem is None:  # else the message before shows the same gap
                    violations.append(_at(message, _reason(message)))
                continue
            symbol, sequence, snapshot = message.symbol or "", message.sequence or 0, _is_snapshot(message)
            count += 1
            first = symbol not in seen
            problem = _gap(last.get(symbol), sequence, snapshot=snapshot, first=first, lag=_is_lag(message))
            if first and snapshot and symbol in last and sequence > last[symbol] + 1:
                missed += sequence - last[symbol] - 1
                if not any(start <= message.received_ns and left_ns <= end for start, end in spans):
                    problem = (
                        f"{sequence - last[symbol] - 1} numbers were missed between two connections, without a fault"
                    )
            if problem:
                violations.append(_at(message, problem))
            seen.add(symbol)
            last[symbol] = sequence
        left_ns = session[-1].received_ns
    summary = (
        f"{count:,} book messages of {len(last)} symbols in {len(sessions)} connections: "
        f"{bound_text(len(violations), count, 'gaps')}; {missed:,} numbers missed while disconnected by a fault"
    )
    return Findings(summary, violations, {"feed_messages": count, "feed_gaps": len(violations)})


def examine_book(record: Record) -> Findings:
    """The book at the end of the feed, level by level, and its number are the engine's; every checksum was right."""
    books, violations = _built_books(_book_messages(record))
    for symbol in sorted(record.engine.symbols):
        live, sequence = record.engine.books.get(symbol), record.engine.symbols[symbol]
        built = books.get(symbol)
        if built is None:
            violations.append(_row(symbol, "the feed left no book of it"))
        elif live is None:
            violations.append(_row(symbol, "the engine gives no book of it"))
        else:
            violations += _unequal(symbol, built, Book(sequence=sequence, bids=live.bids, asks=live.asks))
    for symbol, kept in (record.feed_books or {}).items():
        if symbol in books and kept.sequence == books[symbol].sequence:
            violations += _unequal(symbol, kept, books[symbol])
    levels = sum(len(book.bids) + len(book.asks) for book in books.values())
    summary = (
        f"{len(books)} books of {levels:,} levels built from the feed: {len(violations):,} differences to the engine"
    )
    return Findings(summary, violations)


def _book_messages(record: Record) -> Sequence[FeedMessage]:
    messages = present(record.feed, "feed message")
    present([message for message in messages if message.kind == BOOK], "book message from the feed")
    return messages


def _sessions(messages: Sequence[FeedMessage]) -> Iterator[list[FeedMessage]]:
    """Book messages, by connection, and its gap at the end: a server greets each with ``success: connected``."""
    session: list[FeedMessage] = []
    for message in messages:
        if message.kind in (BOOK, GAP):
            session.append(message)
        elif _begins_connection(message) and session:
            yield session
            session = []
    if session:
        yield session


def _begins_connection(message: FeedMessage) -> bool:
    if message.kind in ENDS:
        return _decoded(message).get("stream") != FeedStream.ORDER_UPDATES
    return message.kind == "success" and _decoded(message).get("msg") == "connected"


def _gap(last: int | None, sequence: int, *, snapshot: bool, first: bool, lag: bool) -> str | None:
    if snapshot and (first or lag):
        return None if last is None or sequence >= last else f"a snapshot went back from {last} to {sequence}"
    if last is not None and (sequence == last + 1 or (snapshot and sequence == last)):
        return None
    if first:
        return f"a connection began with the change {sequence} instead of a snapshot"
    return f"{sequence} followed {last}"


def _built_books(messages: Sequence[FeedMessage]) -> tuple[dict[str, Book], list[Evidence]]:
    """The books as they were at the end, and what is wrong with them.

    A gap is healed by a whole book. A wrong checksum is not: what was believed until then was another book.
    """
    builders: dict[str, BookBuilder] = {}
    unhealed: dict[str, str] = {}
    wrong: dict[tuple[str, str], None] = {}  # symbols with what is wrong: the subscriber says the same of the same book
    for message in messages:
        symbol = message.symbol or ""
        if message.kind == CHECKSUM:
            wrong[symbol, _reason(message)] = None
        if message.kind != BOOK:
            continue
        body = _decoded(message)
        try:
            if builders.setdefault(symbol, BookBuilder(symbol)).apply(body):
                unhealed.pop(symbol, None)
        except FeedGapError as error:
            unhealed[symbol] = str(error)
        except FeedChecksumError as error:
            wrong[symbol, str(error)] = None
            del builders[symbol]
        except (KeyError, TypeError) as error:
            unhealed[symbol] = f"a book message cannot be read: {error!r}"
    books = {symbol: _book(builder) for symbol, builder in builders.items()}
    return books, [_row(symbol, problem) for symbol, problem in [*wrong, *unhealed.items()]]


def _book(builder: BookBuilder) -> Book:
    return Book(
        sequence=builder.sequence,
        bids=sorted(builder.bids.items(), reverse=True),
        asks=sorted(builder.asks.items()),
    )


def _unequal(symbol: str, built: Book, live: Book) -> list[Evidence]:
    violations = []
    if built.sequence != live.sequence:
        violations.append(_row(symbol, f"the feed ended at sequence {built.sequence}, the engine at {live.sequence}"))
    for side, ours, theirs in (("bids", built.bids, live.bids), ("asks", built.asks, live.asks)):
        levels: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for place, book in enumerate((ours, theirs)):
            for price_micros, quantity in book:
                levels[price_micros][place] = quantity
        violations += [
            _row(symbol, f"{side} at {decimal_text(price)}: feed {shares_text(fed)} shares, engine {shares_text(held)}")
            for price, (fed, held) in sorted(levels.items())
            if fed != held
        ]
    return violations


def _is_snapshot(message: FeedMessage) -> bool:
    return bool(_decoded(message).get("r"))


def _is_lag(message: FeedMessage) -> bool:
    body = _decoded(message)
    return bool(body.get("r")) and body.get("w") == "lag"


def _decoded(message: FeedMessage) -> dict[str, Any]:
    try:
        body = json.loads(message.message)
    except ValueError as error:
        raise MissingPartError(f"feed holds a message that is no JSON: {error}") from error
    return body if isinstance(body, dict) else {}


def _reason(message: FeedMessage) -> str:
    """Why the subscriber left a connection, by a row of its own."""
    return _decoded(message).get("reason") or f"the subscriber left for a {message.kind}"


def _at(message: FeedMessage, problem: str) -> Evidence:
    return {**_row(message.symbol or "", problem), "received_ns": message.received_ns}


def _row(symbol: str, problem: str) -> Evidence:
    return {"symbol": symbol, "problem": problem}


GAPS_CHECK = Check("feed_gaps", "The feed has no gap", examine_gaps)
BOOK_CHECK = Check("feed_book", "The book built from the feed is the engine's book", examine_book)
