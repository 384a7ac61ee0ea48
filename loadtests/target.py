"""What the load is aimed at: endpoints, accounts and instruments, read from a stack's status document."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from stack.errors import StackError
from stack.registry import find_stack, running_stacks
from stack.status import AccountStatus, InstrumentStatus, PersonStatus, StackStatus

# Accounts with these names belong to the simulated market.
_MARKET_TRADERS = ("maker-", "noise-", "momentum-")


class TargetError(Exception):
    """There is nothing to aim at, or its description cannot be read; one line says what and where."""


@dataclass(frozen=True, slots=True)
class Target:
    """``apis`` and ``feeds`` are base URLs as the load reaches them, through its proxied links where it has some."""

    apis: tuple[str, ...]
    feeds: tuple[str, ...]
    accounts: tuple[AccountStatus, ...]
    instruments: dict[str, InstrumentStatus]
    people: tuple[PersonStatus, ...] = ()  # who can log in


def read_target(path: Path) -> Target:
    """Raises TargetError when the file is missing, is no status document, or lists nothing to trade with."""
    try:
        status = StackStatus.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TargetError(f"{path}: not a stack's status: {where + ': ' if where else ''}{first['msg']}") from error
    return target_of(status)


def find_target(host: str | None = None) -> Target:
    """The running stack that ``host`` is an api of, else the only one. Raises TargetError for none, or several."""
    url = (host or "").rstrip("/")
    try:
        owners = [status for status in running_stacks() if url in status.endpoints.get("api", ())]
        return target_of(owners[0] if owners else find_stack())
    except StackError as error:
        raise TargetError(str(error)) from error


def target_of(status: StackStatus) -> Target:
    """The load's view of a running stack. Raises TargetError when it has no api, account or instrument."""
    target = Target(
        apis=_endpoints(status, "api", "http"),
        feeds=_endpoints(status, "feed", "ws"),
        accounts=tuple(account for account in status.accounts if not account.name.startswith(_MARKET_TRADERS)),
        instruments={instrument.symbol: instrument for instrument in status.instruments},
        people=tuple(status.people),
    )
    for what, found in (("api", target.apis), ("load account", target.accounts), ("instrument", target.instruments)):
        if not found:
            raise TargetError(f"stack {status.stack_id} has no {what}")
    return target


def _endpoints(status: StackStatus, role: str, scheme: str) -> tuple[str, ...]:
    """Where the load's own links to ``role`` listen; the public endpoints when it has none."""
    links = [link for link in status.links if link.from_.startswith("load:") and link.to.startswith(f"{role}:")]
    listening = tuple(f"{scheme}://{link.listen.removeprefix(f'{scheme}://')}" for link in links if link.listen)
    return listening or tuple(url.rstrip("/") for url in status.endpoints.get(role, ()))
