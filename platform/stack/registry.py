"""Which stacks run on this machine, for other commands to find; and what killed owners left, to be removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from stack.errors import NoSuchStackError, StackError
from stack.process import Identity
from stack.status import StackStatus


class ProcessEntry(BaseModel):
    """A process by pid and start time, so that a reused pid is never hit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    pid: int
    start_ticks: int

    @classmethod
    def of(cls, name: str, identity: Identity) -> ProcessEntry:
        return cls(name=name, pid=identity.pid, start_ticks=identity.start_ticks)

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start_ticks)


class RegistryEntry(BaseModel):
    """What an owner writes down before it starts anything, and again at each change. ``folder`` holds its data."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    owner: ProcessEntry
    folder: Path
    processes: list[ProcessEntry]
    status: StackStatus


def registry_folder() -> Path:
    """``$XDG_RUNTIME_DIR/elson`` or ``/tmp/elson-<uid>``, private to this user. Raises StackError when it is not."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return _private(Path(runtime, "elson")) if runtime and Path(runtime).is_dir() else _private(_fallback())


def ports_folder() -> Path:
    """The same for every command of this user, whatever its environment. Raises StackError as above."""
    return _private(_fallback()) / "ports"


def _fallback() -> Path:
    return Path(f"/tmp/elson-{os.getuid()}")


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise StackError(f"{folder} must be a folder of yours with mode 700: remove it, it is made anew")
    return folder


def write_entry(entry: RegistryEntry) -> None:
    """Atomically, readable by this user only."""
    path = _entry_path(entry.status.stack_id)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(entry.model_dump_json(by_alias=True))
    partial.replace(path)


def remove_entry(stack_id: str) -> None:
    _entry_path(stack_id).unlink(missing_ok=True)


def running_stacks() -> list[StackStatus]:
    """The stacks whose owner is alive, as they last described themselves."""
    return [entry.status for _, entry in _entries() if entry.owner.identity.alive()]


def find_stack(stack_id: str | None = None) -> StackStatus:
    """The running stack with that id, or the only one. Raises NoSuchStackError when there is none, or a choice."""
    running = running_stacks()
    found = [status for status in running if stack_id in (None, status.stack_id)]
    if len(found) == 1:
        return found[0]
    if found:
        choice = ", ".join(status.stack_id for status in found)
        raise NoSuchStackError(f"several stacks are running, name one with --stack: {choice}")
    if stack_id and running:
        raise NoSuchStackError(f"no stack {stack_id}; running: {', '.join(s.stack_id for s in running)}")
    raise NoSuchStackError("no stack is running; `elson up` starts one")


def sweep() -> list[str]:
    """Removes the processes, data folders and entries that killed owners left behind; says which, a line each."""
    removed = []
    for path, entry in _entries():
        if not entry.owner.identity.alive():
            removed += [f"process {p.name} (pid {p.pid})" for p in entry.processes if _kill(p.identity)]
            if entry.folder.exists():
                shutil.rmtree(entry.folder, ignore_errors=True)
                removed.append(f"folder {entry.folder}")
            path.unlink(missing_ok=True)
    return removed


def _kill(identity: Identity) -> bool:
    """With its descendants: a guard that is killed can no longer see to them."""
    if not identity.alive():
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(identity.pid)
        for victim in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
    return True


def _entry_path(stack_id: str) -> Path:
    return registry_folder() / "stacks" / f"{stack_id}.json"


def _entries() -> Iterator[tuple[Path, RegistryEntry]]:
    for path in sorted((registry_folder() / "stacks").glob("*.json")):
        try:
            yield path, RegistryEntry.model_validate_json(path.read_bytes())
        except FileNotFoundError:  # its owner ended meanwhile
            continue
        except ValidationError:
            raise StackError(f"{path} is not readable by this version of elson: remove it") from None
