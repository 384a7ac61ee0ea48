"""Which of several running stacks a bare locust trades with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.target import TargetError, find_target
from stack.process import Identity
from stack.registry import ProcessEntry, RegistryEntry, write_entry
from stack.status import AccountStatus, InstrumentStatus, StackStatus

FIRST, SECOND = "http://127.0.0.1:1001", "http://127.0.0.1:1002"


@pytest.fixture
def two_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    us = Identity.of(os.getpid())
    assert us is not None
    for number, url in enumerate((FIRST, SECOND), start=1):
        status = StackStatus(
            stack_id=f"stack{number}",
            owner_pid=us.pid,
            folder=str(tmp_path),
            control="",
            toxiproxy="",
            nodes=[],
            links=[],
            endpoints={"api": [url], "feed": []},
            accounts=[AccountStatus(account_id=1, name=f"trader-of-{number}", key_id="k", secret_key="s")],
            instruments=[InstrumentStatus(symbol="AAA", tick_micros=1, reference_price_micros=1)],
        )
        owner = ProcessEntry.of("owner", us)
        write_entry(RegistryEntry(owner=owner, folder=tmp_path, processes=[], status=status))


@pytest.mark.usefixtures("two_stacks")
def test_the_host_tells_which_stacks_accounts_trade() -> None:
    for url, name in ((FIRST, "trader-of-1"), (SECOND + "/", "trader-of-2")):
        assert [account.name for account in find_target(url).accounts] == [name]


@pytest.mark.usefixtures("two_stacks")
def test_without_a_host_of_theirs_one_of_several_stacks_must_be_named() -> None:
    for url in (None, "http://127.0.0.1:9"):
        with pytest.raises(TargetError, match="several stacks are running"):
            find_target(url)
