"""What a running stack tells the outside: the document behind ``elson status --json``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeStatus(_Document):
    name: str
    # Engines: active | standby, PostgreSQL: primary | standby, Redis: primary | replica, else the node's role.
    role: str
    pid: int | None
    host: str
    port: int | None
    state: str  # planned | starting | ready | frozen | exited | stopped


class LinkStatus(_Document):
    """``from`` and ``to`` are node names; ``listen`` is what the client connects to, ``upstream`` the server itself."""

    name: str
    from_: str
    to: str
    proxied: bool
    listen: str
    upstream: str

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.rstrip("_"), populate_by_name=True
    )


class AccountStatus(_Document):
    account_id: int
    name: str
    key_id: str
    secret_key: str


class KeyStatus(_Document):
    """A key beside the accounts' own."""

    name: str
    role: str
    account_id: int | None
    key_id: str
    secret_key: str


class PersonStatus(_Document):
    name: str
    role: str
    account_id: int | None
    password: str


class InstrumentStatus(_Document):
    symbol: str
    tick_micros: int
    reference_price_micros: int


class StackStatus(_Document):
    """One running stack. ``endpoints`` lists base URLs: ``api`` for HTTP, ``feed`` for WebSocket."""

    stack_id: str
    owner_pid: int
    folder: str
    control: str  # path of the owner's Unix socket
    toxiproxy: str  # base URL of its HTTP API
    nodes: list[NodeStatus]
    links: list[LinkStatus]
    endpoints: dict[str, list[str]]
    accounts: list[AccountStatus]
    instruments: list[InstrumentStatus]
    keys: list[KeyStatus] = []
    people: list[PersonStatus] = []
