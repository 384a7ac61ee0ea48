"""``python -m simulator.market``: the markets of a running stack, traded through its API until stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import aiohttp
from pydantic import ValidationError
from simpy import Environment

from simulator.market.accounts import market_role
from simulator.market.environment import run_in_real_time
from simulator.market.http_gateway import HttpGateway, HttpOptions, open_record
from simulator.market.market import MarketOptions, open_market
from stack.status import StackStatus


class MarketError(Exception):
    """The market cannot open, or cannot go on; one line says why. ``wrong_usage`` decides the exit code."""

    def __init__(self, message: str, *, wrong_usage: bool = False) -> None:
        super().__init__(message)
        self.exit_code = 2 if wrong_usage else 1


@dataclass(frozen=True, slots=True)
class _Arguments:
    status: Path
    record: Path
    seed: int
    duration_s: float
    speed: float
    patience_s: float


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    try:
        asyncio.run(_run(arguments))
    except MarketError as error:
        sys.stderr.write(f"market: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"market: the record is not complete: {error}\n")
        return 1
    return 0


async def _run(arguments: _Arguments) -> None:
    status = _read_status(arguments.status)
    accounts = {account.name: account for account in status.accounts}
    instruments = {instrument.symbol: instrument for instrument in status.instruments}
    _check_accounts(accounts, instruments)
    endpoints = _endpoints(status)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    await _await_api(endpoints, arguments.patience_s, stop)
    writer = open_record(arguments.record)
    environment = Environment()
    gateway = HttpGateway(accounts, writer, HttpOptions(endpoints=endpoints, speed=arguments.speed))
    desks = open_market(environment, gateway, instruments, accounts, MarketOptions(arguments.seed))
    _log("market open", seed=arguments.seed, endpoints=endpoints, accounts=sorted(desks))
    gateway.start()
    try:
        lateness = await run_in_real_time(
            environment, until_s=arguments.duration_s * arguments.speed, speed=arguments.speed, stop=stop
        )
    finally:
        await gateway.close()
    _log("market closed", operations=gateway.recorded, lateness=asdict(lateness))
    if gateway.failure is not None:
        raise gateway.failure


def _arguments(argv: Sequence[str] | None) -> _Arguments:
    parser = argparse.ArgumentParser(prog="python -m simulator.market", description=__doc__)
    parser.add_argument("--status", type=Path, required=True, metavar="FILE", help="status document of the stack")
    parser.add_argument("--record", type=Path, required=True, metavar="FOLDER", help="where operations-market goes")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--duration", type=float, default=float("inf"), metavar="S", help="real seconds, else endless")
    parser.add_argument("--speed", type=float, default=1.0, help="market seconds per real second")
    parser.add_argument("--patience", type=float, default=20.0, metavar="S", help="how long to wait for an api")
    found = parser.parse_args(argv)
    if found.speed <= 0 or found.duration <= 0 or found.seed < 0:
        parser.error("--speed and --duration must be positive, --seed must not be negative")
    return _Arguments(found.status, found.record, found.seed, found.duration, found.speed, found.patience)


def _read_status(path: Path) -> StackStatus:
    try:
        return StackStatus.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MarketError(f"{path}: {error.strerror}", wrong_usage=True) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise MarketError(f"{path}: not a stack's status: {where}{first['msg']}", wrong_usage=True) from error


def _check_accounts(accounts: Iterable[str], symbols: Container[str]) -> None:
    roles = {name: role for name in accounts if (role := market_role(name))}
    if not roles:
        raise MarketError("the stack has no market accounts (maker-SYMBOL, noise-SYMBOL-N, momentum-SYMBOL)")
    for name, (_, symbol) in roles.items():
        if symbol not in symbols:
            raise MarketError(f"account {name} trades {symbol}, which is not listed")


def _endpoints(status: StackStatus) -> list[str]:
    """Where the market's own links to the api listen; the public endpoints when it has none."""
    links = [link for link in status.links if link.from_.startswith("market:") and link.to.startswith("api:")]
    return [f"http://{link.listen}" for link in links] or [url.rstrip("/") for url in status.endpoints.get("api", ())]


async def _await_api(endpoints: Sequence[str], patience_s: float, stop: asyncio.Event) -> None:
    """Returns when an api is ready. Raises MarketError when none is within ``patience_s``."""
    deadline = monotonic() + patience_s
    last = "none listed"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
        while monotonic() < deadline and not stop.is_set():
            for endpoint in endpoints:
                try:
                    async with session.get(f"{endpoint}/health/ready") as response:
                        if response.status == 200:
                            return
                        last = f"{endpoint} answers {response.status}"
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    last = f"{endpoint}: {str(error) or type(error).__name__}"
            await asyncio.sleep(0.2)
    if not stop.is_set():
        raise MarketError(f"no api was ready within {patience_s:g} s ({last})")


def _log(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
