"""The backup process as its owner and its users see it: operations on its control socket, passed on by the owner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from stack.backup.backups import Backups
from stack.control import Handler, call_async

LONGEST_S: Final = 3600.0  # a base backup or a restore of a large cluster
_PREFIX: Final = "backup_"
OPERATIONS: Final = ("now", "list", "verify", "restore", "point", "status")


def offered(backups: Backups) -> dict[str, Handler]:
    """What the backup process serves on its own control socket."""

    async def now() -> dict[str, Any]:
        return {"backup": (await backups.now()).to_json()}

    async def list_() -> dict[str, Any]:
        return backups.listing()

    async def verify(backup_id: str | None = None) -> dict[str, Any]:
        return {"problems": await backups.verify(backup_id)}

    async def restore(
        to: str, into: str | None = None, exclusive: bool = False, timeline: int | None = None
    ) -> dict[str, Any]:
        restored = await backups.restore(to, into, exclusive=exclusive, timeline=timeline)
        return {"restored": restored.to_json()}

    async def point(name: str) -> dict[str, Any]:
        return {"point": (await backups.point(name)).to_json()}

    async def status() -> dict[str, Any]:
        return {"status": backups.status()}

    handlers = (now, list_, verify, restore, point, status)
    return dict(zip(OPERATIONS, handlers, strict=True))


def operations(control: Path) -> dict[str, Handler]:
    """What an owner serves as ``backup_now``, ``backup_restore`` ...: passed on to the process behind ``control``."""
    return {f"{_PREFIX}{name}": _forwarded(control, name) for name in OPERATIONS}


def _forwarded(control: Path, name: str) -> Handler:
    async def forward(**fields: Any) -> dict[str, Any]:
        return await call_async(control, name, within_s=LONGEST_S, **fields)

    return forward
