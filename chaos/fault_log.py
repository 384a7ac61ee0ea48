"""The faults written down before they are applied: ``faults.jsonl`` in the folder of the stack they hurt."""

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

    def unfinished(self) -> list[dict[str, Any]]:
        """The last line of every fault that was planned or injected, is not for good, and never undone."""
        last: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            last[line["fault_id"]] = line
        return [line for line in last.values() if line["state"] in ("planned", "injected") and not line["permanent"]]

    def _ends_whole(self) -> bool:
        """Whether the last line is complete; a killed writer may have left half of one."""
        return not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # the torn last line of a killed writer: its fault was not applied yet
                continue
        return lines
