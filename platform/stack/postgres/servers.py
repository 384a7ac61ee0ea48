"""The cluster's processes as launches, and the files that make each of them the node it is."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stack.binaries import SERVER_USER, postgres_folder
from stack.postgres import nodes
from stack.postgres.nodes import DATABASE, PAIR, RECEIVER, REPLICATOR, SUPERUSER, application_name
from stack.postgres.settings import IDENTITY_FILE, SEGMENT_BYTES, configuration, quoted
from stack.process import Launch
from stack.wiring import HOST

_SERVICE: Final = "upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Five processes' data below ``folder``, which belongs to the user that runs them.

    ``ports`` by server node; ``passwords`` by database role; ``links`` holds, by link name such as
    ``postgres:2->postgres:1``, the address a replication link's client connects to where that is not the server's
    own, because the link leads through a proxy. All launches stay the same whoever is primary: what changes is in
    files (``write_identity``, ``write_upstream``) that the servers read.
    """

    binaries: Path
    folder: Path
    log_folder: Path
    user: str | None
    ports: Mapping[str, int]
    passwords: Mapping[str, str] = field(repr=False)
    links: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, folder: Path, log_folder: Path, ports: Mapping[str, int], links: Mapping[str, str] | None = None
    ) -> Cluster:
        """Makes the folders and one password for each role. Raises MissingBinaryError when there is no PostgreSQL."""
        user = SERVER_USER if os.getuid() == 0 else None
        binaries = postgres_folder()
        passwords = {role: secrets.token_hex(16) for role in nodes.ROLES}
        folder.mkdir(mode=0o700)
        cluster = cls(
            binaries=binaries,
            folder=folder,
            log_folder=log_folder,
            user=user,
            ports=dict(ports),
            passwords=passwords,
            links=dict(links or {}),
        )
        cluster.received.mkdir(mode=0o700)
        cluster.give_away(folder)
        cluster.give_away(cluster.received)
        return cluster

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cluster:
        folders = {name: Path(data[name]) for name in ("binaries", "folder", "log_folder")}
        return cls(**{**data, **folders})

    def to_json(self) -> dict[str, Any]:
        """Holds the passwords: for files that only this user can read."""
        folders = {name: str(getattr(self, name)) for name in ("binaries", "folder", "log_folder")}
        rest = {"user": self.user, "ports": self.ports, "passwords": self.passwords, "links": self.links}
        return {**folders, **rest}

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    @property
    def received(self) -> Path:
        """Where the receiver writes: closed segments, and the open one as ``.partial``."""
        return self.folder / "wal"

    def data(self, node: str) -> Path:
        return self.folder / application_name(node)

    def address(self, node: str) -> str:
        """``host:port`` of the server itself, past any proxy."""
        return f"{HOST}:{self.ports[node]}"

    def upstream(self, client: str, primary: str) -> str:
        """``host:port`` under which ``client`` replicates from ``primary``, through its link."""
        return self.links.get(f"{client}->{primary}", self.address(primary))

    def dsn(self, address: str, role: str = SUPERUSER, database: str = DATABASE) -> str:
        """A libpq URI; ``address`` may be several, separated by commas.

        Without TLS, which these servers are built without: asking for it each time costs a round trip.
        """
        return f"postgresql://{role}:{self.passwords[role]}@{address}/{database}?sslmode=disable"

    def initdb(self, node: str = PAIR[0]) -> Launch:
        password = self.folder / "password"
        self.write(password, self.passwords[SUPERUSER])
        options = ("-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C", "-k")
        segments = ("--wal-segsize", str(SEGMENT_BYTES >> 20))
        # --no-sync: only a power cut in the next second could tell the difference, and the data are one run's.
        return self._tool(node, "initdb", "-D", str(self.data(node)), *options, *segments, "--no-sync")

    def configure(self, node: str = PAIR[0]) -> None:
        """After ``initdb``: all settings, and the identity of a primary that waits for nobody yet."""
        (self.folder / "password").unlink()
        with (self.data(node) / "postgresql.conf").open("a") as file:
            file.write(configuration())
        self.write_identity(node, {})

    def basebackup(self, node: str, source: str) -> Launch:
        """Copies the server ``source`` into ``node``'s empty folder; give it an identity before it starts.

        The node's slot on ``source`` must exist: it keeps what is written until the copy follows.
        """
        host, _, port = self.upstream(node, source).partition(":")
        where = ("-h", host, "-p", port, "-U", REPLICATOR, "-D", str(self.data(node)))
        options = ("-X", "stream", "-c", "fast", "-S", application_name(node), "--no-sync")
        return self._tool(node, "pg_basebackup", *where, *options, role=REPLICATOR)

    def rewind(self, node: str, source: str) -> Launch:
        """Takes back what ``node``, stopped, wrote and ``source`` never had; then it needs an identity again."""
        host, _, port = self.upstream(node, source).partition(":")
        server = f"host={host} port={port} user={SUPERUSER} dbname=postgres connect_timeout=2"
        return self._tool(node, "pg_rewind", "-D", str(self.data(node)), f"--source-server={server}", "--no-sync")

    def server(self, node: str) -> Launch:
        argv = (str(self.binaries / "postgres"), "-D", str(self.data(node)), "-p", str(self.ports[node]))
        # "fast": ends its sessions instead of waiting for them
        return Launch(argv, self._env(), self._log(node), user=self.user, guarded=True, stop_signal=signal.SIGINT)

    def receiver(self) -> Launch:
        """``pg_receivewal`` from whichever server ``write_upstream`` named last.

        ``--no-loop``: left to itself it would try the same server again after five seconds; ended, it is started
        again at once, and against the server that is primary then.
        """
        options = ("-D", str(self.received), "-S", application_name(RECEIVER), "-d", f"service={_SERVICE}")
        argv = (str(self.binaries / "pg_receivewal"), *options, "--synchronous", "--no-loop", "-s", "1")
        env = {**self._env(REPLICATOR), "PGSERVICEFILE": str(self._service_file)}
        return Launch(argv, env, self._log(RECEIVER), user=self.user, guarded=True, stop_signal=signal.SIGINT)

    def launch(self, node: str) -> Launch:
        """How the owner of the processes starts ``node``."""
        return self.receiver() if node == RECEIVER else self.server(node)

    def write_identity(self, node: str, settings: Mapping[str, str]) -> bool:
        """Makes the data folder ``node``'s own; ``settings`` as of ``follower`` or ``leader``. Reload or start it then.

        A copied or rewound folder holds its source's identity. Returns whether anything changed.
        """
        lines = [f"{name} = {quoted(value)}" for name, value in {"cluster_name": node, **settings}.items()]
        text = "\n".join([*lines, ""])
        path = self.data(node) / IDENTITY_FILE
        if path.exists() and path.read_text() == text:
            return False
        self.write(path, text)
        return True

    def follower(self, node: str, primary: str) -> dict[str, str]:
        """Settings of a server that replicates from ``primary``; it also needs ``mark_standby``.

        They are those of a closed leader, too: a server that is promoted lets nobody write before the cluster's epoch
        is written, and has waited for the receiver since it was started. Set at the promotion, ``synchronous_standby_
        names`` would hold only from the moment its checkpointer gets to read it.
        """
        host, _, port = self.upstream(node, primary).partition(":")
        conninfo = (
            f"host={host} port={port} user={REPLICATOR} password={self.passwords[REPLICATOR]} "
            f"application_name={application_name(node)} connect_timeout=2 tcp_user_timeout=3000"
        )
        # A primary that was copied itself has not all the log that a rewound server needs; what was received has.
        restore = f"cp '{self.received}/%f' '%p'"
        names = ("primary_conninfo", "primary_slot_name", "restore_command")
        source = dict(zip(names, (conninfo, application_name(node), restore), strict=True))
        return source | self.leader((RECEIVER,), closed=True)

    def leader(self, synchronous: tuple[str, ...], *, closed: bool = False) -> dict[str, str]:
        """Settings of the primary. ``closed``: nobody's transaction may write unless it says so itself."""
        names = nodes.synchronous_standby_names(synchronous)
        return {"synchronous_standby_names": names, "default_transaction_read_only": "on" if closed else "off"}

    def mark_standby(self, node: str) -> None:
        self.write(self.data(node) / "standby.signal", "")

    def share_histories(self, node: str, timeline: int) -> None:
        """Gives ``node`` the history files up to ``timeline`` that any other copy has.

        A base backup holds only the last of them; once its server is primary, those that were rewound ask it for all.
        """
        target = self.data(node) / "pg_wal"
        for folder in (self.received, *(self.data(server) / "pg_wal" for server in nodes.SERVERS)):
            for path in folder.glob("????????.history"):
                if int(path.stem, 16) <= timeline and not (target / path.name).exists():
                    self.write(target / path.name, path.read_text())

    def write_upstream(self, primary: str) -> None:
        """Where the receiver connects when it is started next."""
        host, _, port = self.upstream(RECEIVER, primary).partition(":")
        lines = (f"[{_SERVICE}]", f"host={host}", f"port={port}", f"user={REPLICATOR}", "connect_timeout=2")
        more = (f"application_name={application_name(RECEIVER)}", "tcp_user_timeout=3000", "")
        self.write(self._service_file, "\n".join((*lines, *more)))

    def forget(self, node: str) -> Path:
        """Moves the node's data away, for a copy to take their place. Returns a folder that is to be removed.

        At one blow: a removal in place that is given up goes on in its thread, and takes files of the copy with it.
        """
        data = self.data(node)
        # A volume of its own can neither be moved away nor hold what is moved elsewhere.
        gone = data / ".gone" if data.is_mount() else self.folder / f"{data.name}.gone"
        gone.mkdir(exist_ok=True)
        if data.is_mount():
            place = gone / secrets.token_hex(8)
            place.mkdir()
            for path in data.iterdir():
                if path != gone:
                    path.rename(place / path.name)
        elif data.exists():
            data.rename(gone / secrets.token_hex(8))
        return gone

    def write(self, path: Path, text: str) -> None:
        """Atomically, readable for the servers' user only: a server may read it at any moment."""
        # Base backups pass over files so named, this one could not even be opened by the servers' user yet.
        scratch = path.with_name(f"pgsql_tmp.{path.name}")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.give_away(scratch)
        scratch.replace(path)

    def give_away(self, path: Path) -> None:
        """To the user that runs the servers."""
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    @property
    def _service_file(self) -> Path:
        return self.folder / "receiver.service"

    def _tool(self, node: str, program: str, *arguments: str, role: str = SUPERUSER) -> Launch:
        argv = (str(self.binaries / program), *arguments)
        return Launch(argv, self._env(role), self._log(node), user=self.user, guarded=True)

    def _env(self, role: str = SUPERUSER) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/tmp", "PGPASSWORD": self.passwords[role]}

    def _log(self, node: str) -> Path:
        return self.log_folder / f"{node}.log"
