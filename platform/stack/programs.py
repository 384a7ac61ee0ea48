"""The platform's own processes: their command lines, and the environment that gives each the addresses of its links."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from stack.binaries import cache_folder
from stack.postgres import nodes
from stack.postgres.servers import Cluster
from stack.process import Launch
from stack.redis import redis_url
from stack.topology import Node, Role, Topology
from stack.wiring import HOST, Wiring

# Each logs in as a role of its own, which may do what its tables say in trading.infra.privileges.
DATABASE_ROLES: Final[Mapping[Role, str]] = {Role.ENGINE: nodes.ENGINE, Role.API: nodes.API, Role.FEED: nodes.FEED}
PROGRAMS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.ENGINE: (sys.executable, "-m", "trading.engine"),
    Role.API: (sys.executable, "-m", "trading.api"),
    Role.FEED: (sys.executable, "-m", "trading.feed"),
}
MIGRATE: Final = (sys.executable, "-m", "trading.infra.migrate")
SEED: Final = (sys.executable, "-m", "trading.infra.seeding")


@dataclass(frozen=True, slots=True)
class Programs:
    """Launches for one stack; ``key_pepper`` is the secret of its keyed hashes of API secrets."""

    topology: Topology
    wiring: Wiring
    postgres: Cluster
    log_folder: Path
    lease_ttl_ms: int
    key_pepper: str = field(repr=False)

    def node(self, node: Node, argv: tuple[str, ...]) -> Launch:
        """An engine, api or feed, which reaches its servers through its own links."""
        own = {"ELSON_NODE": node.name, "ELSON_HOST": HOST, "ELSON_PORT": str(self.wiring.ports[node.name])}
        settings = self._settings(self.wiring.servers(node, Role.ENGINE)) | self._postgres(node) | self._redis(node)
        return Launch(argv, {**python_env(), **settings, **own}, self._log(node.name), cwd=Path.cwd())

    def one_shot(self, name: str, argv: tuple[str, ...]) -> Launch:
        """Preparations such as migrating and seeding, which reach every server directly."""
        engines = [self.wiring.address(node) for node in self.topology.nodes if node.role is Role.ENGINE]
        own = {"ELSON_NODE": name, "ELSON_HOST": HOST, "ELSON_PORT": "1"}  # it serves nothing, but must have one
        own["ELSON_POSTGRES_DSN"] = self.postgres.dsn(self.postgres.address(nodes.PAIR[0]), nodes.MIGRATOR)
        return Launch(argv, {**python_env(), **self._settings(engines), **own}, self._log(name), cwd=Path.cwd())

    def write_seed(self, path: Path) -> None:
        """Instruments, accounts, keys and people with their secrets, readable by this user only."""
        topology = self.topology
        instruments = [
            {name: value for name, value in asdict(instrument).items() if value is not None}
            for instrument in topology.instruments
        ]
        seed = {
            "instruments": instruments,
            "accounts": [asdict(account) for account in topology.accounts],
            "keys": [asdict(key) for key in topology.keys],
            "people": [asdict(person) for person in topology.people],
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(seed, file)

    def _settings(self, engines: list[str]) -> dict[str, str]:
        settings = {"ELSON_LEASE_TTL_MS": str(self.lease_ttl_ms), "ELSON_KEY_PEPPER": self.key_pepper}
        if engines:
            settings["ELSON_ENGINE_URLS"] = ",".join(f"http://{address}" for address in engines)
        return settings

    def _postgres(self, client: Node) -> dict[str, str]:
        """Both servers of the pair, of which the client finds the primary; the replica for who has a link to it."""
        links = [link for link in self.wiring.links if link.client == client]
        listens = {link.server.name: self.wiring.listen(link) for link in links if link.server.role is Role.POSTGRES}
        settings = {}
        if pair := [listens[server] for server in nodes.PAIR if server in listens]:
            settings["ELSON_POSTGRES_DSN"] = self.postgres.dsn(",".join(pair), DATABASE_ROLES[client.role])
        if nodes.REPLICA in listens:
            settings["ELSON_POSTGRES_READ_DSN"] = self.postgres.dsn(listens[nodes.REPLICA], nodes.READER)
        return settings

    def _redis(self, client: Node) -> dict[str, str]:
        """The sentinels, who speak of the servers' own addresses, and where its links lead instead."""
        links = [link for link in self.wiring.links if link.client == client and link.server.role is Role.REDIS]
        addresses = {self.wiring.address(link.server): self.wiring.listen(link) for link in links if link.proxied}
        url = redis_url(self.topology, self.wiring)
        return {"ELSON_REDIS_URL": url, "ELSON_REDIS_ADDRESSES": json.dumps(addresses)} if links else {}

    def _log(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"


def python_env() -> dict[str, str]:
    """This process's environment, in which Python keeps its bytecode: without it a start takes four times as long.

    Where bytecode beside the sources is unwanted, it goes into the cache.
    """
    env = dict(os.environ)
    if env.pop("PYTHONDONTWRITEBYTECODE", None):
        env.setdefault("PYTHONPYCACHEPREFIX", str(cache_folder().with_name("bytecode")))
    return env
