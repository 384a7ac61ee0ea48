"""``python -m trading.feed``"""

from __future__ import annotations

import asyncio

from trading.feed.app import create_app
from trading.feed.books import Window
from trading.feed.frames import Connection
from trading.feed.hub import Hub
from trading.feed.recorder import Recorder
from trading.feed.source import WAIT_S, JournalSource
from trading.feed.subscribers import Limits
from trading.infra.database import Pool
from trading.infra.keys import KeyRing
from trading.infra.process import run
from trading.infra.redis import connect
from trading.infra.settings import Settings
from trading.infra.telemetry import start_logging

_KEYS_KNOWN_FOR_S = 0.5  # shorter than elsewhere: between two requests to a socket nobody asks again


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    dsn = settings.postgres_dsn.get_secret_value()
    window = Window(settings.feed_replay_messages, settings.feed_replay_s * 10**9)
    limits = Limits(settings.feed_connections, settings.feed_connections_per_key, settings.feed_symbols_per_connection)
    client = connect(settings.redis_url.get_secret_value(), settings.redis_addresses, deadline_s=2 * WAIT_S)
    source = JournalSource(dsn, client, settings.node, window)
    keys = KeyRing(Pool(dsn, settings.node, size=2), settings.key_pepper.get_secret_value(), fresh_s=_KEYS_KNOWN_FOR_S)
    hub = Hub(source, keys, limits)
    recorder = Recorder(dsn, settings.node, quotes_kept_h=settings.quotes_kept_h, registry=hub.registry)
    hub.followers.append(recorder.offer)

    async def work() -> None:
        await asyncio.gather(hub.run(), recorder.run())

    run(settings, create_app(hub, keys), work, sockets=Connection)


if __name__ == "__main__":
    main()
