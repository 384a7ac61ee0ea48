"""The public API: Alpaca's Trading API v2 conventions in front of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Response

from trading.api import (
    accounts,
    activities,
    assets,
    clock,
    configurations,
    errors,
    health,
    history,
    login,
    market_calendar,
    market_data,
    orders,
    positions,
    watchlists,
)
from trading.api.access import TABLE, Table, require_rows
from trading.api.admin import ROUTERS as ADMIN_ROUTERS
from trading.api.context import Context, admit
from trading.api.engine_client import EngineClient
from trading.api.front import stand_in_front
from trading.api.limits import LimitBody
from trading.api.market_data_reads import CONNECTIONS, MarketData
from trading.api.metrics import ApiMetrics
from trading.api.openapi import describe_access
from trading.api.order_entry import PlaceDirectly
from trading.api.read_entry import ReadDirectly
from trading.api.reads import Reads
from trading.api.yesterday import Yesterday
from trading.infra import redis
from trading.infra.aged_reads import AgedReads
from trading.infra.database import Pool
from trading.infra.keys import KeyRing
from trading.infra.passwords import Passwords
from trading.infra.rate_limits import Limiter
from trading.infra.sessions import Sessions
from trading.infra.settings import Settings
from trading.infra.telemetry import metrics_response


def create_app(settings: Settings, *, table: Table = TABLE) -> FastAPI:
    """Raises AccessError when a route has no row in ``table``."""
    metrics = ApiMetrics()
    client = redis.connect(settings.redis_url.get_secret_value(), settings.redis_addresses)
    limiter = Limiter(client, settings.rate_limits, patience_s=settings.rate_limit_patience_ms / 1000)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        dsn = settings.postgres_dsn.get_secret_value()
        passwords = Passwords(queue_capacity=settings.password_queue_capacity)
        metrics.password_checks.set_function(lambda: passwords.under_way)
        database = Pool(dsn, settings.node)
        gate = Pool(dsn, settings.node, size=2)  # who is asking never waits behind what is asked
        series = Pool(dsn, f"{settings.node} market data", size=CONNECTIONS)  # nor do orders for history
        read_dsn, most_lag_s = settings.postgres_read_dsn, settings.replica_lag_ms / 1000
        replica = Pool(read_dsn.get_secret_value(), settings.node) if read_dsn else None
        async with EngineClient(settings.engines, capacity=settings.queue_capacity) as engine:
            keys = KeyRing(gate, settings.key_pepper.get_secret_value())
            sessions = Sessions(client, gate, idle_s=settings.session_idle_s, absolute_s=settings.session_absolute_s)
            app.state.context = Context(
                *(settings, engine, database, client, keys, metrics, table, limiter, sessions, passwords),
                *(Yesterday(database), Reads(database), AgedReads(database, replica, most_lag_s=most_lag_s)),
            )
            app.state.market_data = MarketData(AgedReads(series, replica, most_lag_s=most_lag_s))
            app.state.health = health.Health(app.state.context)
            yield
            await app.state.health.close()
        await limiter.close()
        await client.aclose()
        passwords.close()
        for pool in filter(None, (gate, series, replica, database)):
            await pool.close()

    app = FastAPI(title="Elson trading API", version="2", lifespan=lifespan, dependencies=[Depends(admit)])
    account_topics = accounts, activities, configurations, history, positions
    for topic in (login, orders, *account_topics, assets, clock, market_calendar, market_data, watchlists, health):
        app.include_router(topic.router)
    for router in ADMIN_ROUTERS:
        app.include_router(router)

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return metrics_response(metrics.registry)

    require_rows(app, table)
    describe_access(app, table)
    errors.install(app)
    app.add_middleware(LimitBody)
    app.add_middleware(PlaceDirectly)
    app.add_middleware(ReadDirectly)
    stand_in_front(app, settings, limiter=limiter, metrics=metrics)
    return app
