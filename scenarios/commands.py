"""The commands about running platforms. Each returns its exit code; what a user can put right is one line."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final, ParamSpec

from rich.console import Console
from rich.table import Table

from chaos.durations import FOR_GOOD, duration_text, parse_duration_s
from stack.binaries import install_missing, parts
from stack.control import call
from stack.errors import ControlError, NoSuchStackError, StackError
from stack.registry import find_stack, running_stacks, sweep
from stack.status import StackStatus

WRONG_USAGE: Final = 2
_FAULT_LIMIT_S: Final = 60.0
_DOWN_LIMIT_S: Final = 30.0

P = ParamSpec("P")


def told(command: Callable[P, int]) -> Callable[P, int]:
    """Errors whose text is for the user: on standard error, a line each."""

    @wraps(command)
    def telling(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except StackError as error:
            return complain(str(error), 1)

    return telling


def complain(text: str, code: int) -> int:
    for line in text.splitlines():
        sys.stderr.write(f"elson: {line}\n")
    return code


@told
def show_status(stack_id: str | None, *, json: bool) -> int:
    status = _live_status(stack_id)
    if json:
        print_json(status.model_dump(mode="json", by_alias=True))
    else:
        console = Console(highlight=False)
        console.print(f"stack {status.stack_id}, owner {status.owner_pid}")
        console.print(nodes_table(status))
        for role, urls in status.endpoints.items():
            console.print(f"{role}: {', '.join(urls)}", soft_wrap=True)
    return 0


def nodes_table(status: StackStatus) -> Table:
    table = Table("node", "role", "pid", "address", "state", box=None)
    for node in status.nodes:
        address = f"{node.host}:{node.port}" if node.port else ""
        table.add_row(node.name, node.role, str(node.pid or ""), address, node.state)
    return table


@told
def take_down(stack_id: str | None) -> int:
    """Also removes what killed owners left behind. Returns when everything is gone."""
    left = sweep()
    for line in left:
        sys.stdout.write(f"removed {line}, left by an owner that was killed\n")
    try:
        status = find_stack(stack_id)
    except NoSuchStackError:
        if left and stack_id is None:
            return 0
        raise
    call(status, "down")
    deadline = time.monotonic() + _DOWN_LIMIT_S
    while any(running.stack_id == status.stack_id for running in running_stacks()):
        if time.monotonic() > deadline:
            raise ControlError(f"stack {status.stack_id} is not down after {_DOWN_LIMIT_S:g} s")
        time.sleep(0.05)
    sys.stdout.write(f"stack {status.stack_id} is down\n")
    return 0


@told
def add_fault(kind: str, target: str, value: str | None, *, duration: str, stack_id: str | None) -> int:
    try:
        for_s = None if duration == FOR_GOOD else parse_duration_s(duration)
    except ValueError as error:
        return complain(f"--for: {error}", WRONG_USAGE)
    fields = {"kind": kind, "target": target, "value": value, "for_s": for_s}
    answer = call(find_stack(stack_id), "fault.add", within_s=_FAULT_LIMIT_S, **fields)
    sys.stdout.write(f"{_fault_line(answer['fault'])}\n")
    return 0


@told
def list_faults(stack_id: str | None, *, json: bool) -> int:
    faults = call(find_stack(stack_id), "fault.list")["faults"]
    if json:
        print_json(faults)
    else:
        sys.stdout.write("".join(f"{_fault_line(fault)}\n" for fault in faults) or "no fault is on\n")
    return 0


@told
def clear_faults(stack_id: str | None) -> int:
    cleared = call(find_stack(stack_id), "fault.clear", within_s=_FAULT_LIMIT_S)["cleared"]
    sys.stdout.write(f"undone: {', '.join(cleared)}\n" if cleared else "no fault was on\n")
    return 0


@told
def doctor(*, install: bool, quiet: bool) -> int:
    found = install_missing() if install else parts()
    missing = [part for part in found if part.path is None]
    for part in found:
        if part.path is None:
            complain(f"{part.name} is missing: it {part.why}; get it by: {part.command}", 1)
        elif not quiet:
            sys.stdout.write(f"{part.name:<17} {part.version} ({part.source}: {part.path})\n")
    return 1 if missing else 0


def _live_status(stack_id: str | None) -> StackStatus:
    """As the owner answers now: roles and states move on after the last entry in the registry."""
    return StackStatus.model_validate(call(find_stack(stack_id), "status")["status"])


def _fault_line(fault: dict[str, Any]) -> str:
    until = "for good"
    if fault["ends_ns"] is not None:
        ends = datetime.fromtimestamp(fault["ends_ns"] / 1e9)
        until = f"for {duration_text(fault['for_s'])}, until {ends:%H:%M:%S}"
    value = f" {fault['value']}" if fault["value"] else ""
    return f"{fault['fault_id']}: {fault['kind']} {fault['target']}{value} ({', '.join(fault['aim'])}) {until}"


def print_json(document: Any) -> None:
    sys.stdout.write(json_text.dumps(document) + "\n")
    sys.stdout.flush()
