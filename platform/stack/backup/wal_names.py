"""Names in the log: positions, segments, timelines and where each left the one before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stack.postgres.settings import SEGMENT_BYTES

_PER_FILE_ID: Final = 0x1_0000_0000 // SEGMENT_BYTES
_SEGMENT: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_HISTORY: Final = re.compile(r"([0-9A-F]{8})\.history")
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
PARTIAL: Final = ".partial"


def parse_lsn(text: str) -> int | None:
    """The byte of the log that ``0/3000028`` names; None when it is no position."""
    match = _LSN.fullmatch(text)
    return (int(match[1], 16) << 32) + int(match[2], 16) if match else None


def lsn_text(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFF_FFFF:X}"


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """``number`` counts segments from the beginning of the log."""

    number: int
    timeline: int

    def __str__(self) -> str:
        high, low = divmod(self.number, _PER_FILE_ID)
        return f"{self.timeline:08X}{high:08X}{low:08X}"

    @classmethod
    def parse(cls, text: str) -> SegmentName | None:
        match = _SEGMENT.fullmatch(text)
        if match is None or int(match[3], 16) >= _PER_FILE_ID:
            return None
        return cls(int(match[2], 16) * _PER_FILE_ID + int(match[3], 16), int(match[1], 16))

    @classmethod
    def at(cls, timeline: int, lsn: int) -> SegmentName:
        return cls(lsn // SEGMENT_BYTES, timeline)


def history_timeline(name: str) -> int | None:
    """The timeline whose history file is called so."""
    match = _HISTORY.fullmatch(name)
    return int(match[1], 16) if match else None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A timeline with its ancestors: each one's number and the position where the next left it, oldest first."""

    number: int
    left: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, number: int, history: str) -> Timeline:
        """``history``: the text of its history file. Raises ValueError."""
        left = []
        for line in history.splitlines():
            fields = line.split()
            if fields and not fields[0].startswith("#"):
                lsn = parse_lsn(fields[1]) if len(fields) > 1 else None
                if lsn is None:
                    raise ValueError(f"no history of a timeline: {line!r}")
                left.append((int(fields[0]), lsn))
        return cls(number, tuple(left))

    def holds(self, timeline: int, lsn: int) -> bool:
        """Whether what was written on ``timeline`` up to ``lsn`` is part of this one's past."""
        return timeline == self.number or any(number == timeline and lsn <= end for number, end in self.left)

    def segment(self, number: int) -> SegmentName:
        """The file that holds this timeline's segment: a segment in which timelines meet is the newer one's."""
        for timeline, end in self.left:
            if number < end // SEGMENT_BYTES:
                return SegmentName(number, timeline)
        return SegmentName(number, self.number)
