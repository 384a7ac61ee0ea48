"""Server programs: found in a fixed order, and one line when they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack.binaries import install_missing, parts, postgres_folder, require
from stack.errors import MissingBinaryError


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing on PATH, nothing in the cache; returns the only folder on PATH."""
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ELSON_TOXIPROXY", raising=False)
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Readable by everybody, unlike pytest's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def program(path: Path, text: str = "echo version 9.9.9") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_missing_server_is_one_line_saying_what_why_and_how(bare_machine: Path) -> None:
    with pytest.raises(MissingBinaryError) as missing:
        require("toxiproxy-server")
    line = str(missing.value)
    assert "\n" not in line
    for part in ("toxiproxy-server is missing", "carries the proxied links", "elson doctor --install"):
        assert part in line
    (toxiproxy,) = [part for part in parts() if part.name == "toxiproxy-server"]
    assert (toxiproxy.path, toxiproxy.source, toxiproxy.version) == (None, None, None)


def test_a_setting_comes_before_path_and_path_before_the_cache(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = program(tmp_path / "cache" / "elson" / "bin" / "toxiproxy-server")
    assert require("toxiproxy-server") == cached
    on_path = program(bare_machine / "toxiproxy-server")
    assert require("toxiproxy-server") == on_path
    chosen = program(tmp_path / "mine")
    monkeypatch.setenv("ELSON_TOXIPROXY", str(chosen))
    (toxiproxy,) = [part for part in parts() if part.name == "toxiproxy-server"]
    assert (toxiproxy.path, toxiproxy.source, toxiproxy.version) == (chosen, "setting", "9.9.9")


def test_a_setting_that_points_nowhere_is_an_error(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare_machine / "toxiproxy-server")
    monkeypatch.setenv("ELSON_TOXIPROXY", "/nowhere")
    with pytest.raises(MissingBinaryError, match="ELSON_TOXIPROXY=/nowhere is no usable toxiproxy-server"):
        require("toxiproxy-server")


def test_the_wheels_postgres_is_preferred_and_complete(bare_machine: Path) -> None:
    program(bare_machine / "postgres")
    (postgres,) = [part for part in parts() if part.name == "postgres"]
    assert postgres.source == "wheel"
    assert postgres.version is not None
    assert postgres.version.startswith("16.")


def test_installers_at_once_build_toxiproxy_once(bare_machine: Path, tmp_path: Path) -> None:
    """The toolchain is the faked edge: it notes each build and takes its time."""
    notes = tmp_path / "builds"
    build = f'PATH=/usr/bin:/bin; echo "$@" >> {notes}; sleep 0.3; printf "#!/bin/sh\\necho git\\n" > "$GOBIN/server"'
    program(bare_machine / "go", f'{build}; chmod +x "$GOBIN/server"')
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: install_missing(), range(3)))
    cache = tmp_path / "cache" / "elson" / "bin"
    assert {part.path for each in found for part in each if part.name == "toxiproxy-server"} == {
        cache / "toxiproxy-server"
    }
    assert notes.read_text() == "install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0\n"
    assert sorted(file.name for file in cache.iterdir()) == ["toxiproxy-server", "toxiproxy.lock"]


def test_without_go_the_way_to_toxiproxy_is_one_line(bare_machine: Path) -> None:
    with pytest.raises(MissingBinaryError, match=r"^toxiproxy-server is missing: .*install Go .*$"):
        install_missing()


def test_a_failed_build_says_why(bare_machine: Path) -> None:
    program(bare_machine / "go", "echo dial tcp: no route to host >&2; exit 1")
    with pytest.raises(MissingBinaryError, match=r"failed: dial tcp: no route to host$"):
        install_missing()


@pytest.mark.stack
@pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as another user")
def test_under_root_a_postgres_nobody_can_reach_is_copied_to_where_it_can(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = require("postgres").parents[2]
    closed, shared = tmp_path / "closed", open_folder / "shared"
    shutil.copytree(original / "pginstall", closed / original.name / "pginstall")
    shutil.copytree(original.with_name(f"{original.name}.libs"), closed / f"{original.name}.libs")
    closed.chmod(0o700)
    monkeypatch.setenv("ELSON_POSTGRES_BIN", str(closed / original.name / "pginstall" / "bin"))
    folder = postgres_folder(shared)
    assert folder.is_relative_to(shared)
    for tool in ("postgres", "pg_basebackup"):
        subprocess.run([folder / tool, "--version"], user="nobody", cwd="/", check=True, stdout=sys.stderr)
    assert postgres_folder(shared) == folder
