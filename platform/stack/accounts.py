"""Accounts with fresh API keys, in the shape of Alpaca's: 20 upper-case characters and a secret of 40."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping

from stack.topology import Account

_KEY_ALPHABET = string.ascii_uppercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits


def generate_accounts(
    count: int, *, cash_micros: int, shares: Mapping[str, int], name: str = "account", first_id: int = 1
) -> tuple[Account, ...]:
    """``count`` accounts that start alike; ids and names are numbered, keys and secrets are random."""
    return tuple(
        Account(
            account_id=account_id,
            name=f"{name}-{account_id}",
            key_id="PK" + _draw(_KEY_ALPHABET, 18),
            secret_key=_draw(_SECRET_ALPHABET, 40),
            cash_micros=cash_micros,
            shares=dict(shares),
        )
        for account_id in range(first_id, first_id + count)
    )


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
