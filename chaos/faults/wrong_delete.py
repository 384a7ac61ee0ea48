"""Wrong delete: all rows of a table, at a known moment. Undone from a restore to right before it, row by row."""

from __future__ import annotations

import io
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from chaos.fault import Evidence, FaultError
from stack.backup.side_server import Programs, SideServer
from stack.embedded import EmbeddedStack
from stack.postgres.sessions import connection
from stack.topology import POSTGRES_PRIMARY, Role, Topology

_TABLES: Final = ("fills", "ledger")  # written once, and read by nobody who decides
_POINT: Final = "before-wrong-delete-"
_NEWEST: Final = "SELECT max(sequence) FROM {table}"


@dataclass(frozen=True, slots=True)
class WrongDelete:
    """``table`` as the value. The rest of the platform goes on: what is written afterwards stays."""

    kind: ClassVar[str] = "wrong_delete"
    lasting: ClassVar[bool] = False
    target: str
    table: str

    @classmethod
    def parse(cls, target: str, value: str | None) -> Self:
        if value not in _TABLES:
            raise FaultError(f"wrong_delete {value!r}: expected a table out of {', '.join(_TABLES)}")
        return cls(target, value)

    def check(self, topology: Topology) -> None:
        if self.target != POSTGRES_PRIMARY:
            raise FaultError(f"rows are deleted on {POSTGRES_PRIMARY}, got {self.target!r}")
        if not any(node.role is Role.BACKUP for node in topology.nodes):
            raise FaultError("nobody could restore what is deleted: that takes a backup process")

    async def aim(self, stack: EmbeddedStack) -> list[str]:
        return [stack.node(self.target).name]

    async def inject(self, stack: EmbeddedStack, aim: list[str]) -> dict[str, Any]:
        """Nobody writes the table between the point and the DELETE: the restore has all that is deleted."""
        point = f"{_POINT}{secrets.token_hex(3)}"
        async with connection(stack.postgres_dsn()) as primary, primary.transaction():
            await primary.execute(f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE")
            newest = await primary.fetchval(_NEWEST.format(table=self.table))
            await stack.ask_backup("point", name=point)
            deleted = await primary.execute(f"DELETE FROM {self.table}")
        return {"deleted": int(deleted.split()[1]), "newest": newest, "point": point}

    async def evidence(self, stack: EmbeddedStack, aim: list[str], facts: dict[str, Any]) -> Evidence:
        async with connection(stack.postgres_dsn()) as primary:
            query = f"SELECT count(*) FROM {self.table} WHERE sequence <= $1"
            left = await primary.fetchval(query, facts["newest"])
        bit = facts["deleted"] > 0 and left == 0
        words = f"{facts['deleted']} rows of {self.table} were deleted, {left} of them are there"
        return Evidence(bit, words, facts | {"left": left})

    async def undo(self, stack: EmbeddedStack, aim: list[str]) -> None:
        points = [point for point in (await stack.ask_backup("list"))["points"] if point["name"].startswith(_POINT)]
        if not points:  # it did not come so far
            return
        newest = max(points, key=lambda point: str(point["at"]))
        folder = Path((await stack.ask_backup("restore", to=newest["name"]))["restored"]["folder"])
        try:
            await self._bring_back(stack, folder)
        finally:
            shutil.rmtree(folder)

    async def _bring_back(self, stack: EmbeddedStack, folder: Path) -> None:
        rows = io.BytesIO()
        programs = Programs(stack.postgres.binaries, stack.postgres.user)
        async with SideServer(programs, folder, stack.options.log_folder / "restored.log") as side:
            await side.leads()
            async with connection(side.dsn) as restored:
                await restored.copy_from_table(self.table, output=rows, format="binary")
        rows.seek(0)
        async with connection(stack.postgres_dsn()) as primary, primary.transaction():
            await primary.execute(f"CREATE TEMPORARY TABLE restored (LIKE {self.table}) ON COMMIT DROP")
            await primary.copy_to_table("restored", source=rows, format="binary")
            await primary.execute(f"INSERT INTO {self.table} SELECT * FROM restored ON CONFLICT DO NOTHING")
