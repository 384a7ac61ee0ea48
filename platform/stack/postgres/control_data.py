"""What a stopped or running server's data folder says of itself: the head of its global/pg_control."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.errors import StackError

CONTROL_VERSION: Final = 1300  # of PostgreSQL 13 to 16; the fields below are where they are since 9.4
SHUT_DOWN: Final = 1  # DBState: ended in order, as a primary
# Those of a primary, however it ended: in order, while it did, while it recovered from a crash, at work.
_AS_PRIMARY: Final = frozenset({SHUT_DOWN, 3, 4, 6})
# ControlFileData: identifier, control version, catalogue version, state (padded), time, checkpoint, its redo, timeline
_HEAD: Final = struct.Struct("<QIIi4xqQQI")


@dataclass(frozen=True, slots=True)
class ControlData:
    """``redo`` is the byte of the log where recovery would begin."""

    system_identifier: int
    control_version: int
    catalogue_version: int
    state: int
    redo: int
    timeline: int

    @property
    def was_primary(self) -> bool:
        """Whether it led when it ended; a follower is in archive recovery or was shut down in it."""
        return self.state in _AS_PRIMARY

    @classmethod
    def read(cls, data: Path) -> ControlData:
        """Raises StackError when ``data`` holds no server's data."""
        path = data / "global" / "pg_control"
        try:
            with path.open("rb") as file:
                head = _HEAD.unpack(file.read(_HEAD.size))
        except (OSError, struct.error) as error:
            raise StackError(f"{data} holds no PostgreSQL server's data: {path}: {error}") from error
        identifier, version, catalogue, state, _, _, redo, timeline = head
        return cls(identifier, version, catalogue, state, redo, timeline)
