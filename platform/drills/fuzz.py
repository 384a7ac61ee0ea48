"""Requests and frames nobody would write, for a whole platform (``python -m drills.fuzz``); exit code 1 if it minds."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import requests

from drills.frames_fuzz import Target, fuzz_frames
from drills.requests_fuzz import Findings, fuzz_requests
from stack.accounts import generate_accounts
from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.status import StackStatus
from stack.topology import Instrument, Topology, platform_topology

_SYMBOLS: Final = ("AAA", "BBB")
_REQUESTS_PER_CASE: Final = 6  # as everybody, and again where it is refused


def ask_everything(status: StackStatus, *, cases: int, number: int) -> Findings:
    """As a trader, as both kinds of officer, and as nobody."""
    officers = {key.name: key for key in status.keys if key.account_id is None}
    callers = {"nobody": {}, "trader": _headers(status.accounts[0])}
    callers |= {name: _headers(key) for name, key in officers.items()}
    return fuzz_requests(
        status.endpoints["api"][0],
        callers,
        lambda: _books(status),
        symbol=status.instruments[0].symbol,
        cases=cases,
        number=number,
    )


def _headers(key: Any) -> dict[str, str]:
    return {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": key.secret_key}


def _books(status: StackStatus) -> str:
    """The state hash of the engine that leads."""
    for node in status.nodes:
        if node.role == "active":
            answer = requests.get(f"http://{node.host}:{node.port}/state/full", timeout=20).json()
            return str(answer["state_hash"])
    raise RuntimeError("no engine is active")


def _topology() -> Topology:
    instruments = [Instrument(symbol, 10_000, 100_000_000, fractionable=True) for symbol in _SYMBOLS]
    accounts = generate_accounts(2, cash_micros=10**13, shares=dict.fromkeys(_SYMBOLS, 100_000))
    return platform_topology(instruments=instruments, accounts=accounts)


async def _run(count: int, number: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedStack(_topology(), StackOptions(Path(folder))) as stack:
            status = stack.status()
            findings = await asyncio.to_thread(
                ask_everything, status, cases=count // 2 // _REQUESTS_PER_CASE, number=number
            )
            account = status.accounts[0]
            target = Target(status.endpoints["feed"][0], account.key_id, account.secret_key)
            frames = await fuzz_frames(target, count=count // 2, seed=number)
    print(f"{findings.sent:,} requests, {findings.refused_again:,} of them refused twice")
    print(f"{frames.messages:,} frames; seed {number}")
    problems = [*findings.problems, *frames.problems]
    for problem in problems:
        print(problem)
    return bool(problems)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="requests and frames to send")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_run(arguments.count, arguments.seed)))


if __name__ == "__main__":
    main()
