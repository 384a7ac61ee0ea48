"""The supervisor's durable record: who is primary, which copies hold what was acknowledged, and how far a change is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from stack.durable import replace_text
from stack.errors import StackError
from stack.postgres.nodes import NODES, PAIR, RECEIVER

VERSION: Final = 1
_LOCKED_WITHIN_S: Final = 0.5  # a killed predecessor's programs may hold it until they have all begun
_POLL_S: Final = 0.01


class RecordError(StackError):
    """The record is damaged, or tells of another cluster; the message names the file and what is wrong."""


class Step(StrEnum):
    """How far a change of the primary or of the synchronous set has come; each is written before the next begins."""

    STEADY = "steady"
    SHRINKING = "shrinking"  # recorded without the lost member; the primary still waits for the old set
    GROWING = "growing"  # the primary waits for the larger set; not recorded yet
    DRAINING = "draining"  # a planned change: the old primary is ending in order
    FENCING = "fencing"  # the old primary is being killed: it is not coming back as the primary
    FENCED = "fenced"
    FED = "fed"  # the candidate has all that any copy has
    PROMOTING = "promoting"
    PROMOTED = "promoted"  # the candidate is the primary; its first transaction is under way
    ADOPTING = "adopting"  # everything ended; a restored folder is taking the primary's place
    ADOPTED = "adopted"


class Stage(StrEnum):
    """How far a server that cannot simply follow the primary has come on its way back."""

    DIVERGED = "diverged"  # may hold what the primary never had
    REWINDING = "rewinding"  # broken off here, its folder is worthless
    COPYING = "copying"
    REJOINING = "rejoining"  # sound; not seen streaming yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """``sync``: the copies that between them hold every acknowledged commit. ``stale``: servers on their way back.

    ``candidate`` is set while a change of the primary is under way, ``folder`` while one is adopted.
    ``timeline`` is the primary's.
    """

    system_identifier: int
    epoch: int
    timeline: int
    primary: str
    sync: tuple[str, ...]
    step: Step = Step.STEADY
    candidate: str | None = None
    folder: str | None = None
    stale: Mapping[str, Stage] = field(default_factory=dict)

    def dump(self) -> str:
        # The identifier as text: JSON readers in other languages lose the last digits of 64 bits.
        fields = asdict(self) | {"system_identifier": str(self.system_identifier), "stale": dict(self.stale)}
        return json.dumps({"version": VERSION, **fields}, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Record:
        """Raises RecordError when there is none, or not all of it is as it must be."""
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            raise RecordError(f"{path}: there is no record of this cluster") from None
        except (OSError, ValueError) as error:
            raise RecordError(f"{path}: the record is damaged: {error}") from error
        try:
            return _checked(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"{path}: the record is damaged: {type(error).__name__}: {error}") from error


class RecordFile:
    """The record as it is on the disk; nothing is done that is not written there first."""

    def __init__(self, path: Path, record: Record, on_step: Callable[[str], None] = lambda step: None) -> None:
        self.path = path
        self.record = record
        self._on_step = on_step
        self._lock: int | None = None

    @classmethod
    def create(cls, path: Path, record: Record) -> RecordFile:
        """Raises RecordError when there is one: nothing is overwritten."""
        if path.exists():
            raise RecordError(f"{path}: there is a record already")
        file = cls(path, record)
        replace_text(path, record.dump())
        return file

    @classmethod
    def open(cls, path: Path, on_step: Callable[[str], None] = lambda step: None) -> RecordFile:
        """For whoever decides; ``on_step`` is called after each durable step.

        Raises RecordError, also when another process has it open: two supervisors would promote two servers.
        """
        file = cls(path, Record.load(path), on_step)
        file._lock = _only_one(path.with_suffix(".lock"))
        file.record = Record.load(path)  # as its last holder left it
        return file

    def close(self) -> None:
        """Lets another process open it, as the end of this one does."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, record: Record) -> None:
        """Durable when it returns."""
        if record == self.record:
            return
        replace_text(self.path, record.dump())
        before, self.record = self.record, record
        if record.step != before.step:
            self._on_step(record.step)
        for node, stage in record.stale.items():
            if before.stale.get(node) != stage:
                self._on_step(stage)


def _only_one(path: Path) -> int:
    """Holds a lock that the kernel drops with this process. Raises RecordError when another has it for long."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + _LOCKED_WITHIN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline_s:
                time.sleep(_POLL_S)
                continue
            holder = os.pread(lock, 20, 0).decode()
            os.close(lock)
            raise RecordError(f"{path}: another supervisor (process {holder}) decides for this cluster") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock


def _checked(data: dict[str, Any]) -> Record:
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']!r}, expected {VERSION}")
    if unknown := data.keys() - {"version", *Record.__dataclass_fields__}:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    record = Record(
        system_identifier=int(data["system_identifier"]),
        epoch=_positive(data, "epoch"),
        timeline=_positive(data, "timeline"),
        primary=_one_of(data, "primary", PAIR),
        sync=tuple(data["sync"]),
        step=Step(data["step"]),
        candidate=data["candidate"] and _one_of(data, "candidate", PAIR),
        folder=data["folder"],
        stale={node: Stage(stage) for node, stage in data["stale"].items()},
    )
    if not record.sync or not set(record.sync) <= {*PAIR, RECEIVER} - {record.primary}:
        raise ValueError(f"sync {data['sync']!r} is no set of the primary's partners")
    if not record.stale.keys() <= set(NODES):
        raise ValueError(f"stale {data['stale']!r} names unknown nodes")
    return record


def _positive(data: Mapping[str, Any], name: str) -> int:
    value = data[name]
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} {value!r} is no positive number")
    return value


def _one_of(data: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    if data[name] not in known:
        raise ValueError(f"{name} {data[name]!r} is none of {', '.join(known)}")
    return str(data[name])
