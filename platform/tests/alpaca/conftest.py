"""Alpaca's own clients, unmodified, against the running platform.

They are synchronous, and so are their tests: a loop that waited for them could not run anyway.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from stack.embedded import EmbeddedStack
from tests.conftest import ALPACA_ACCOUNTS

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # alpaca-py's streams use what websockets calls legacy
    from alpaca.trading.client import TradingClient


def trading_client(platform: EmbeddedStack, account: int) -> TradingClient:
    """``account`` is an index into the platform's accounts."""
    status = platform.status()
    who = status.accounts[account]
    return TradingClient(who.key_id, who.secret_key, url_override=status.endpoints["api"][0])


def _clean(client: TradingClient) -> None:
    client.cancel_orders()
    for watchlist in client.get("/watchlists"):
        client.delete_watchlist_by_id(watchlist["id"])


@pytest.fixture
def trader(platform: EmbeddedStack) -> Iterator[TradingClient]:
    """The client most tests ask. It leaves no open order and no watchlist behind."""
    client = trading_client(platform, ALPACA_ACCOUNTS[0])
    yield client
    _clean(client)


@pytest.fixture
def other(platform: EmbeddedStack) -> Iterator[TradingClient]:
    """The account on the other side of its trades."""
    client = trading_client(platform, ALPACA_ACCOUNTS[1])
    yield client
    _clean(client)
