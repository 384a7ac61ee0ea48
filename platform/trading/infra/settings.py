"""A process's configuration: environment variables ``ELSON_*``, checked once at start."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Unset values that a process needs are an error naming the variable, raised at start."""

    model_config = SettingsConfigDict(env_prefix="ELSON_", frozen=True)

    node: str
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    postgres_dsn: SecretStr
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    engine_urls: str = ""
    key_pepper: SecretStr = SecretStr("")
    lease_ttl_ms: int = Field(default=500, ge=50)
    commit_deadline_ms: int = Field(default=3_000, ge=10)
    request_deadline_ms: int = Field(default=5_000, ge=10)
    queue_capacity: int = Field(default=20_000, ge=1)
    records_per_state_hash: int = Field(default=1_000, ge=1)
    records_per_snapshot: int = Field(default=20_000, ge=1)
    quotes_kept_h: int = Field(default=24, ge=1)

    @cached_property
    def engines(self) -> tuple[str, ...]:
        """Base URLs of all engines."""
        if not self.engine_urls.strip():
            raise ValueError("ELSON_ENGINE_URLS is not set: this process must know the engines' base URLs")
        return tuple(url.strip().rstrip("/") for url in self.engine_urls.split(",") if url.strip())
