"""``elson db``: the PostgreSQL cluster of a running platform, as its supervisor sees it, and changes by hand."""

from __future__ import annotations

import sys
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from scenarios.commands import print_json, told
from stack.control import call
from stack.registry import find_stack

_LIMIT_S: Final = 60.0


@told
def show_database(stack_id: str | None, *, json: bool) -> int:
    _show(_ask(stack_id, "status"), json=json)
    return 0


@told
def change_primary(operation: str, stack_id: str | None) -> int:
    """``switchover`` (planned, no client sees an error) or ``failover`` (as if the primary had died)."""
    before = _ask(stack_id, "status")["primary"]
    after = _ask(stack_id, operation)
    sys.stdout.write(f"{after['primary']} is the primary instead of {before}, epoch {after['epoch']}\n")
    return 0


@told
def rejoin(node: str, stack_id: str | None) -> int:
    _ask(stack_id, "rejoin", node=node)
    sys.stdout.write(f"{node} follows the primary again\n")
    return 0


def _ask(stack_id: str | None, operation: str, **fields: str) -> dict[str, Any]:
    answer = call(find_stack(stack_id), "db", within_s=_LIMIT_S, operation=operation, **fields)
    status: dict[str, Any] = answer["status"]
    return status


def _show(status: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(status)
        return
    console = Console(highlight=False)
    console.print(f"epoch {status['epoch']}, timeline {status['timeline']}, {status['step']}", soft_wrap=True)
    console.print(f"a commit waits for one of: {', '.join(status['sync'])}", soft_wrap=True)
    if status["problem"]:
        console.print(f"problem: {status['problem']}", soft_wrap=True)
    console.print(_table(status))


def _table(status: dict[str, Any]) -> Table:
    table = Table("node", "role", "runs", "streams", "behind", "on its way back", box=None)
    for node in status["nodes"]:
        behind = "" if node["behind_bytes"] is None else f"{node['behind_bytes']} B"
        streams = "" if node["role"] == "primary" else _yes(node["streaming"])
        table.add_row(node["node"], node["role"], _yes(node["running"]), streams, behind, node["stage"] or "")
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"
