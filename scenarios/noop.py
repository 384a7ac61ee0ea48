"""``python -m scenarios.noop``: the positive control of a run, a server that does nothing and a client that asks it.

It shares the machine with the platform and nothing else: when it answers slowly, so would anything. Its client keeps
an open-loop schedule as the load does, and each time counts from the moment the probe was due.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reports.records import CONTROL, TableWriter

EVERY_S: Final = 0.05
_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: noop\r\n\r\n"
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_END: Final = b"\r\n\r\n"
_FLUSH_EVERY: Final = 20  # probes
_NS: Final = 1_000_000_000


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(_END):
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client is done
    finally:
        writer.close()


async def probe(writer: TableWriter, stop: asyncio.Event, *, every_s: float = EVERY_S) -> None:
    """Adds a row a probe until ``stop`` is set."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with server:
        reader, out = await asyncio.open_connection(*server.sockets[0].getsockname())
        every_ns, probes = round(every_s * _NS), 0
        due_ns = time.time_ns() + every_ns
        while not stop.is_set():
            await asyncio.sleep(max(0.0, (due_ns - time.time_ns()) / _NS))
            out.write(_REQUEST)
            await reader.readuntil(_END)
            writer.add({"due_ns": due_ns, "done_ns": time.time_ns(), "every_ns": every_ns})
            probes += 1
            if probes % _FLUSH_EVERY == 0:
                writer.flush()
            due_ns += every_ns
        out.close()
        await out.wait_closed()


async def _until_told(folder: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    writer = TableWriter(folder / "control", CONTROL)
    try:
        await probe(writer, stop)
    finally:
        writer.close()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.noop", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, metavar="FOLDER", help="where the record goes")
    try:
        asyncio.run(_until_told(parser.parse_args(argv).record))
    except OSError as error:
        sys.stderr.write(f"noop: the record is not complete: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
