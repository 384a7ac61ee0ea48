"""``elson db`` as an operator types it, against a running cluster."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from stack.embedded import EmbeddedStack
from stack.options import StackOptions
from stack.topology import Role, platform_topology

pytestmark = pytest.mark.stack
ROLES = frozenset({Role.POSTGRES, Role.WAL, Role.SUPERVISOR})


async def elson(*arguments: str) -> tuple[int | None, str, str]:
    argv = (sys.executable, "-m", "scenarios.cli", "db", *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_an_operator_sees_the_cluster_and_changes_its_primary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    topology = platform_topology(instruments=(), accounts=())
    async with EmbeddedStack(topology, StackOptions(tmp_path, roles=ROLES)):
        code, out, _ = await elson("status", "--json")
        assert (code, json.loads(out)["primary"]) == (0, "postgres:1")
        code, out, _ = await elson("switchover")
        assert (code, out) == (0, "postgres:2 is the primary instead of postgres:1, epoch 2\n")
        code, out, _ = await elson("rejoin", "postgres:1")
        assert (code, out) == (0, "postgres:1 follows the primary again\n")
        code, _, err = await elson("rejoin", "postgres:2")
        assert code == 1
        assert "postgres:2 cannot rejoin: only a server that is not the primary can" in err
        code, out, _ = await elson("status")
        assert code == 0
        assert "epoch 2" in out
