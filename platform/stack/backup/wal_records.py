"""The records in segments of the log: where the log ends, and when and as what its transactions were committed.

The format: src/include/access/xlogrecord.h and xlog_internal.h of PostgreSQL 16.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stack.postgres.settings import SEGMENT_BYTES

_PAGE_BYTES: Final = 8192
_BLOCK_BYTES: Final = 4096
_SHORT_HEADER: Final = 24
_LONG_HEADER: Final = 40  # of a segment's first page
_PAGE: Final = struct.Struct("<HHIQI")  # magic, flags, timeline, address, bytes left of the record before
_RECORD: Final = struct.Struct("<IIQBB2xI")  # length, transaction, record before, info, resource manager, crc
_FIRST_PAYLOAD: Final = _PAGE_BYTES - _LONG_HEADER
_PAYLOAD: Final = _PAGE_BYTES - _SHORT_HEADER
_SEGMENT_PAYLOAD: Final = _FIRST_PAYLOAD + (SEGMENT_BYTES // _PAGE_BYTES - 1) * _PAYLOAD
_TRANSACTION: Final = 1  # the resource manager's number
_XLOG: Final = 0
_COMMITS: Final = (0x00, 0x30)  # XLOG_XACT_COMMIT, XLOG_XACT_COMMIT_PREPARED
_SWITCH: Final = 0x40  # XLOG_SWITCH: the rest of its segment is empty
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Commit:
    """``lsn`` is where its record begins; ``at`` is the time that a restore to a time goes by."""

    lsn: int
    transaction: int
    at: datetime


@dataclass(frozen=True, slots=True)
class _Record:
    start: int
    end: int
    transaction: int
    manager: int
    info: int


class Log:
    """Segments that follow each other from the segment ``number`` on; zeros may end the last."""

    def __init__(self, number: int, segments: Sequence[bytes]) -> None:
        self._first = number
        self._stream = bytearray()
        for index, segment in enumerate(segments):
            # A segment that was ended early has no pages behind its end.
            self._stream.extend(bytes(index * _SEGMENT_PAYLOAD - len(self._stream)))
            self._append(number + index, segment)
        left = _PAGE.unpack_from(segments[0])[4] if segments and self._stream else 0
        self._begin = _aligned(left)
        self._last = next(iter(deque(self._records(), maxlen=1)), None)

    def end(self) -> int:
        """The position behind the last whole record; where the first begins when there is none.

        Raises ValueError when the last record is not as it was written, although all of it is there.
        """
        if self._last is None:
            return self._lsn(min(self._begin, len(self._stream)))
        if self._sound(self._last):
            return self._lsn(self._last.end)
        if self._torn(self._last):
            return self._lsn(self._last.start)
        raise ValueError(f"the record at {self._lsn(self._last.start):X} is damaged")

    def commits(self) -> list[Commit]:
        """In the log's order, which is not always that of their times."""
        return [
            Commit(self._lsn(record.start), record.transaction, self._committed_at(record))
            for record in self._records()
            if record.manager == _TRANSACTION and record.info & 0x70 in _COMMITS and self._main_data(record)
        ]

    def same_place(self, one: int, other: int) -> bool:
        """Two positions between which there is nothing but a page's header."""
        return self._offset(one) == self._offset(other)

    def reaches(self, lsn: int) -> int:
        """Negative when the log ends before ``lsn``, zero when exactly there, positive when it goes on."""
        return self._offset(self.end()) - self._offset(lsn)

    def _append(self, number: int, segment: bytes) -> None:
        for at in range(0, SEGMENT_BYTES, _PAGE_BYTES):
            if _PAGE.unpack_from(segment, at)[3] != number * SEGMENT_BYTES + at:
                return  # never written, or what a reused file held before
            self._stream += segment[at + (_SHORT_HEADER if at else _LONG_HEADER) : at + _PAGE_BYTES]

    def _records(self) -> Iterator[_Record]:
        at, size = self._begin, len(self._stream)
        while at + _RECORD.size <= size:
            length, transaction, _, info, manager, _ = _RECORD.unpack_from(self._stream, at)
            if length < _RECORD.size or at + length > size:
                return
            end = at + _aligned(length)
            if manager == _XLOG and info & 0xF0 == _SWITCH:
                end = -(-end // _SEGMENT_PAYLOAD) * _SEGMENT_PAYLOAD
            yield _Record(at, end, transaction, manager, info)
            at = end

    def _sound(self, record: _Record) -> bool:
        length, *_, checksum = _RECORD.unpack_from(self._stream, record.start)
        body = self._stream[record.start + _RECORD.size : record.start + length]
        return bool(_crc32c(body + self._stream[record.start : record.start + 20]) == checksum)

    def _torn(self, record: _Record) -> bool:
        """A receiver killed while it wrote leaves zeros from some block of the disk on."""
        written = len(self._stream.rstrip(b"\0"))
        block = -(-self._lsn(written) // _BLOCK_BYTES) * _BLOCK_BYTES
        return block < self._lsn(record.end)

    def _main_data(self, record: _Record) -> int | None:
        """Where a record that touches no page has its own data; it is preceded by at most an origin and a parent."""
        at = record.start + _RECORD.size
        for _ in range(3):
            match self._stream[at]:
                case 255:
                    return at + 2
                case 254:
                    return at + 5
                case 253:
                    at += 3
                case 252:
                    at += 5
                case _:
                    return None
        return None

    def _committed_at(self, record: _Record) -> datetime:
        at = self._main_data(record)
        assert at is not None
        (microseconds,) = struct.unpack_from("<q", self._stream, at)
        return _EPOCH + timedelta(microseconds=microseconds)

    def _lsn(self, offset: int) -> int:
        segment, rest = divmod(offset, _SEGMENT_PAYLOAD)
        base = (self._first + segment) * SEGMENT_BYTES
        if rest < _FIRST_PAYLOAD:
            return base + _LONG_HEADER + rest
        page, rest = divmod(rest - _FIRST_PAYLOAD, _PAYLOAD)
        return base + (page + 1) * _PAGE_BYTES + _SHORT_HEADER + rest

    def _offset(self, lsn: int) -> int:
        segment, rest = divmod(lsn - self._first * SEGMENT_BYTES, SEGMENT_BYTES)
        page, rest = divmod(rest, _PAGE_BYTES)
        before = 0 if page == 0 else _FIRST_PAYLOAD + (page - 1) * _PAYLOAD
        return segment * _SEGMENT_PAYLOAD + before + max(0, rest - (_SHORT_HEADER if page else _LONG_HEADER))


def _aligned(size: int) -> int:
    return (size + 7) & ~7


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE: Final = _crc_table()


def _crc32c(data: bytes | bytearray) -> int:
    """Castagnoli's; byte by byte is quick enough for one record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
