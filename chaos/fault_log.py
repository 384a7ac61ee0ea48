"""The faults written down before they are applied: ``faults.jsonl`` in a run's record, or in the logs of ``elson up``.

It is there to be read: undoing never depends on it. What a killed owner left on ends with its nodes and proxies. Once
a kept run is judged, its record is closed: faults added later are written down in the stack's own folder.
"""

from __future__ import annotations

import json
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Any


class FaultState(StrEnum):
    PLANNED = "planned"  # about to be applied: whoever reads this must assume that it was
    INJECTED = "injected"
    UNDONE = "undone"
    FAILED = "failed"


class FaultLog:
    """Appends one JSON object a line; a line is on the disk before ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, state: FaultState, details: dict[str, Any]) -> dict[str, Any]:
        """Returns the line written: ``at_ns``, ``state`` and the details."""
        line = {"at_ns": time.time_ns(), "state": state.value, **details}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if self._ends_whole() else "\n") + json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return line

    def _ends_whole(self) -> bool:
        """Whether the last line is complete; a disk that was full may have left half of one."""
        return not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
