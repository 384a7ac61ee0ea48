"""A process's configuration: environment variables ``ELSON_*``, checked once at start."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from trading.infra.rate_limits import LimitClass, Rate


class Settings(BaseSettings):
    """Unset values that a process needs are an error naming the variable, raised at start."""

    model_config = SettingsConfigDict(env_prefix="ELSON_", frozen=True)

    node: str
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    postgres_dsn: SecretStr
    postgres_read_dsn: SecretStr | None = None  # of the read replica
    replica_lag_ms: int = Field(default=5_000, ge=1)  # beyond it the primary is read
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    redis_addresses: dict[str, str] = Field(default_factory=dict)  # a server's own HOST:PORT: where it is reached
    engine_urls: str = ""
    key_pepper: SecretStr = SecretStr("")
    lease_ttl_ms: int = Field(default=500, ge=50)
    commit_deadline_ms: int = Field(default=3_000, ge=10)
    request_deadline_ms: int = Field(default=5_000, ge=10)
    queue_capacity: int = Field(default=20_000, ge=1)
    records_per_state_hash: int = Field(default=1_000, ge=1)
    records_per_snapshot: int = Field(default=100_000, ge=1)
    rate_limits: dict[LimitClass, Rate] = Field(default_factory=dict)  # as in {"orders": [5, 10]}: a second, burst
    rate_limit_patience_ms: int = Field(default=20, ge=1)
    requests_at_once: int = Field(default=500, ge=4)
    connections: int = Field(default=8_192, ge=1)
    request_arrival_ms: int = Field(default=10_000, ge=10)
    slow_request_ms: int = Field(default=1_000, ge=1)
    drain_grace_ms: int = Field(default=200, ge=0)
    allowed_origins: tuple[str, ...] = ()  # of web pages that may call the API
    trusted_proxies: str = ""  # whose X-Forwarded-For is believed: addresses, separated by commas
    behind_tls: bool = False
    password_queue_capacity: int = Field(default=16, ge=1)
    session_idle_s: float = Field(default=900, gt=0)
    session_absolute_s: float = Field(default=43_200, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    quotes_kept_h: int = Field(default=24, ge=1)
    feed_connections: int = Field(default=2_000, ge=1)
    feed_connections_per_key: int = Field(default=1_000, ge=1)
    feed_symbols_per_connection: int = Field(default=2_000, ge=1)  # subscriptions, in all channels
    feed_replay_messages: int = Field(default=5_000, ge=1)  # per symbol
    feed_replay_s: int = Field(default=120, ge=1)

    @cached_property
    def engines(self) -> tuple[str, ...]:
        """Base URLs of all engines."""
        if not self.engine_urls.strip():
            raise ValueError("ELSON_ENGINE_URLS is not set: this process must know the engines' base URLs")
        return tuple(url.strip().rstrip("/") for url in self.engine_urls.split(",") if url.strip())
