"""Accounts and staff with fresh API keys, in the shape of Alpaca's: 20 upper-case characters, a secret of 40."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from stack.topology import Account, Key, Person, Topology

_KEY_ALPHABET = string.ascii_uppercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_OFFICERS: Final = ("operator", "risk_officer")


def generate_accounts(
    count: int, *, cash_micros: int, shares: Mapping[str, int], name: str = "account", first_id: int = 1
) -> tuple[Account, ...]:
    """``count`` accounts that start alike; ids and names are numbered, keys and secrets are random."""
    return tuple(
        Account(
            account_id=account_id,
            name=f"{name}-{account_id}",
            key_id=_key_id(),
            secret_key=_secret(),
            cash_micros=cash_micros,
            shares=dict(shares),
        )
        for account_id in range(first_id, first_id + count)
    )


def with_staff(topology: Topology) -> Topology:
    """Adds a person and a key for either officer, and a key with which an analyst reads the first account.

    A topology that names its people or keys itself is left as it is.
    """
    if topology.people or topology.keys:
        return topology
    keys = [Key(role, role, None, _key_id(), _secret()) for role in _OFFICERS]
    keys += [Key("analyst", "analyst", a.account_id, _key_id(), _secret()) for a in topology.accounts[:1]]
    people = tuple(Person(role, role, None, _secret()) for role in _OFFICERS)
    return replace(topology, keys=tuple(keys), people=people)


def _key_id() -> str:
    return "PK" + _draw(_KEY_ALPHABET, 18)


def _secret() -> str:
    return _draw(_SECRET_ALPHABET, 40)


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
