"""The public API: Alpaca's Trading API v2 conventions in front of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from trading.api import accounts, assets, clock, errors, health, market_calendar, orders, watchlists
from trading.api.context import Context
from trading.api.engine_client import EngineClient
from trading.api.limits import LimitBody
from trading.api.metrics import ApiMetrics, MeasureRequests
from trading.api.order_entry import PlaceDirectly
from trading.infra import redis
from trading.infra.database import Pool
from trading.infra.keys import KeyRing
from trading.infra.settings import Settings
from trading.infra.telemetry import metrics_response


def create_app(settings: Settings) -> FastAPI:
    metrics = ApiMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Pool(settings.postgres_dsn.get_secret_value(), settings.node)
        client = redis.connect(settings.redis_url.get_secret_value())
        async with EngineClient(settings.engines, capacity=settings.queue_capacity) as engine:
            keys = KeyRing(database, settings.key_pepper.get_secret_value())
            app.state.context = Context(settings, engine, database, client, keys, metrics)
            yield
        await client.aclose()
        await database.close()

    app = FastAPI(title="Elson trading API", version="2", lifespan=lifespan)
    for topic in (orders, accounts, assets, clock, market_calendar, watchlists, health):
        app.include_router(topic.router)

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return metrics_response(metrics.registry)

    errors.install(app)
    app.add_middleware(LimitBody)
    app.add_middleware(PlaceDirectly)
    app.add_middleware(MeasureRequests, metrics=metrics)
    return app
