"""The owner's control socket, and how other commands find it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stack.accounts import generate_accounts
from stack.control import ControlServer, call, call_async
from stack.errors import ControlError, NoSuchStackError, StackError
from stack.registry import find_stack, registry_folder


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    async def add(kind: str, link: str) -> dict[str, Any]:
        if kind != "latency":
            raise StackError(f"no fault is called {kind}")
        return {"fault": f"{kind} on {link}"}

    async def hang() -> dict[str, Any]:
        await asyncio.sleep(600)
        return {}

    control = ControlServer(tmp_path / "control.sock")
    control.handlers |= {"fault.add": add, "hang": hang}
    await control.start()
    yield control
    await control.stop()


async def test_an_operation_is_answered_with_its_result(server: ControlServer) -> None:
    answer = await call_async(server.path, "fault.add", kind="latency", link="engine->postgres")
    assert answer == {"fault": "latency on engine->postgres"}
    assert answer == await asyncio.to_thread(call, server.path, "fault.add", kind="latency", link="engine->postgres")


@pytest.mark.parametrize(
    ("op", "fields", "reason"),
    [
        ("fault.add", {"kind": "flood", "link": "x"}, "no fault is called flood"),
        ("fault.add", {"colour": "red"}, "missing a required argument: 'kind'"),
        ("fault.remove", {}, "out of: fault.add, hang"),
    ],
)
async def test_a_refusal_names_the_operation_and_the_reason(
    op: str, fields: dict[str, Any], reason: str, server: ControlServer
) -> None:
    with pytest.raises(ControlError, match=reason):
        await call_async(server.path, op, **fields)


async def test_an_owner_that_does_not_answer_is_not_waited_for(server: ControlServer) -> None:
    with pytest.raises(ControlError, match=r"did not answer hang within 0.1 s"):
        await call_async(server.path, "hang", within_s=0.1)
    with pytest.raises(ControlError, match=r"did not answer hang within 0.1 s"):
        await asyncio.to_thread(call, server.path, "hang", within_s=0.1)


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"{}\n", b"\xff\n"])
async def test_a_line_that_is_no_request_is_refused_and_the_next_one_served(line: bytes, server: ControlServer) -> None:
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(line + b'{"op": "fault.add", "kind": "latency", "link": "l"}\n')
    assert b'"ok": false' in await reader.readline()
    assert b'"ok": true' in await reader.readline()
    writer.close()


async def test_without_a_stack_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStackError, match="no stack is running"):
        find_stack()
    with pytest.raises(ControlError, match="cannot be reached"):
        call(tmp_path / "gone.sock", "status")


def test_a_registry_that_others_can_write_to_is_refused() -> None:
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "elson")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(StackError, match="must be a folder of yours with mode 700"):
        registry_folder()


def test_generated_keys_have_alpacas_shape_and_never_repeat() -> None:
    accounts = generate_accounts(50, cash_micros=1_000_000, shares={"AAA": 5}, first_id=3)
    assert [account.account_id for account in accounts] == list(range(3, 53))
    assert len({account.key_id for account in accounts} | {account.secret_key for account in accounts}) == 100
    assert {(len(account.key_id), len(account.secret_key)) for account in accounts} == {(20, 40)}
    assert all(account.key_id.isupper() and account.key_id.isalnum() for account in accounts)
    assert accounts[0].secret_key not in repr(accounts[0])
