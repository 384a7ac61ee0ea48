"""``python -m trading.feed``"""

from __future__ import annotations

import asyncio

from trading.feed.app import create_app
from trading.feed.hub import Hub
from trading.feed.recorder import Recorder
from trading.feed.source import JournalSource
from trading.infra.database import Pool
from trading.infra.keys import KeyRing
from trading.infra.process import run
from trading.infra.settings import Settings
from trading.infra.telemetry import start_logging


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    dsn = settings.postgres_dsn.get_secret_value()
    hub = Hub(JournalSource(dsn, settings.redis_url.get_secret_value(), settings.node))
    keys = KeyRing(Pool(dsn, settings.node, size=2), settings.key_pepper.get_secret_value())
    recorder = Recorder(dsn, settings.node, quotes_kept_h=settings.quotes_kept_h, registry=hub.registry)
    hub.followers.append(recorder.offer)

    async def work() -> None:
        await asyncio.gather(hub.run(), recorder.run())

    run(settings, create_app(hub, keys), work)


if __name__ == "__main__":
    main()
