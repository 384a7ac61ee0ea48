"""Nodes that end: brought back, left down, given up, and told in one message when they do not start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stack.embedded import EmbeddedStack
from stack.errors import StackError, StartError, UnresolvedError
from stack.topology import Role, UnknownSelectorError
from tests.stack.conftest import Events

pytestmark = pytest.mark.stack
MakeStack = Callable[..., EmbeddedStack]
API = frozenset({Role.API})


def stand_in(behaviour: str = "serve") -> dict[Role, tuple[str, ...]]:
    return {Role.API: (sys.executable, str(Path(__file__).with_name("stand_in.py")), behaviour)}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_node_killed_by_an_outside_hand_is_brought_back(make_stack: MakeStack, events: Events) -> None:
    stack = make_stack(roles=API, programs=stand_in())
    await stack.start()
    first = stack.node("api:2").pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(events.named("node_ready", node="api:2")) == 2)
    assert stack.node("api:2").pid not in (None, first)
    assert events.named("node_exited", node="api:2", exit_code=-signal.SIGKILL, cause="not by the stack")
    assert not events.named("node_exited", node="api:1")


async def test_a_node_the_stack_killed_stays_down_until_restarted(make_stack: MakeStack, events: Events) -> None:
    stack = make_stack(roles=API, programs=stand_in())
    await stack.start()
    await stack.kill("api:1")
    await asyncio.sleep(1)
    assert (stack.node("api:1").state, stack.node("api:1").pid) == ("exited", None)
    with pytest.raises(StackError, match="api:1 is not running"):
        await stack.kill("api:1")
    await stack.restart("api:1")
    assert stack.node("api:1").state == "ready"


async def test_a_frozen_node_can_be_killed_and_restarted(make_stack: MakeStack, events: Events) -> None:
    stack = make_stack(roles=API, programs=stand_in())
    await stack.start()
    await stack.freeze("api:1")
    with pytest.raises(StackError, match="api:1 is frozen and cannot be frozen"):
        await stack.freeze("api:1")
    await stack.restart("api:1")
    assert stack.node("api:1").state == "ready"
    assert [event["node"] for event in events.named("node_frozen")] == ["api:1"]


async def test_a_node_that_keeps_ending_comes_back_after_ever_longer_pauses(
    make_stack: MakeStack, events: Events
) -> None:
    stack = make_stack(roles=API, programs=stand_in())
    await stack.start()
    while len(events.named("node_restarted", node="api:1")) < 3:
        if stack.node("api:1").state == "ready" and (pid := stack.node("api:1").pid):
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
    exits, returns = events.named("node_exited", node="api:1"), events.named("node_restarted", node="api:1")
    assert len(exits) == len(returns) == 3


async def test_a_node_that_refuses_to_start_is_named_with_the_end_of_its_log(make_stack: MakeStack) -> None:
    stack = make_stack(roles=API, programs=stand_in("refuse"))
    with pytest.raises(StartError, match=r"api:\d ended with exit code 1 [\s\S]*no lease for the likes of me"):
        await stack.start()
    assert not stack.folder.exists()
    assert stack.node("api:1").pid is None


async def test_a_node_that_is_never_ready_is_named_when_the_time_is_up(make_stack: MakeStack) -> None:
    stack = make_stack(roles=API, programs=stand_in("dawdle"), start_limit_s=2)
    with pytest.raises(StartError, match=r"api:1 was not ready within 2 s[\s\S]*thinking about it"):
        await stack.start()
    assert stack.node("api:1").pid is None


async def test_a_program_that_cannot_be_executed_is_one_line(make_stack: MakeStack) -> None:
    stack = make_stack(roles=API, programs={Role.API: ("/nowhere/api",)})
    with pytest.raises(StartError, match=r"^cannot run /nowhere/api: No such file or directory$"):
        await stack.start()


async def test_a_program_of_the_run_is_a_node_with_a_log_and_an_exit_code(
    make_stack: MakeStack, events: Events, tmp_path: Path
) -> None:
    stack = make_stack(roles=frozenset())
    await stack.start()
    script = "import os, sys; print(os.environ['SEED']); sys.exit(3)"
    process = await stack.start_program("load:1", [sys.executable, "-c", script], {"SEED": "7"})
    assert await process.wait() == 3
    assert (tmp_path / "logs" / "load:1.log").read_text() == "7\n"
    assert events.named("node_exited", node="load:1", exit_code=3)
    assert stack.node("load:1").state == "exited"


async def test_ending_a_program_ends_what_it_forked(make_stack: MakeStack) -> None:
    stack = make_stack(roles=frozenset())
    await stack.start()
    script = "import os, time; print(os.fork(), flush=True); time.sleep(600)"
    await stack.start_program("load:1", [sys.executable, "-c", script], {})
    log = stack.options.log_folder / "load:1.log"
    await until(lambda: log.exists() and len(log.read_text().split()) == 2)
    child = max(int(pid) for pid in log.read_text().split())
    assert await stack.terminate("load:1") == -signal.SIGTERM
    assert not psutil.pid_exists(child)


@pytest.mark.parametrize("selector", ["api:3", "database", "engine:", "engine:passive"])
async def test_a_selector_that_can_match_nothing_is_refused(selector: str, make_stack: MakeStack) -> None:
    with pytest.raises(UnknownSelectorError, match="no node is called"):
        await make_stack().resolve(selector)


async def test_selectors_mean_nodes_and_links(make_stack: MakeStack) -> None:
    stack = make_stack()
    assert [node.name for node in await stack.resolve("api")] == ["api:1", "api:2"]
    assert [node.name for node in await stack.resolve("postgres:2")] == ["postgres:2"]
    links = await stack.resolve_links("engine:2 -> postgres")
    assert [link.name for link in links] == ["engine:2->postgres:1", "engine:2->postgres:2"]
    with pytest.raises(UnresolvedError, match="nobody is postgres:primary before"):
        await stack.resolve("postgres:primary")
    with pytest.raises(UnresolvedError, match="no engine is active"):
        await stack.resolve("engine:active")
    with pytest.raises(UnknownSelectorError, match="no link matches"):
        await stack.resolve_links("redis->api")


async def test_a_stack_stopped_while_it_starts_leaves_nothing(make_stack: MakeStack) -> None:
    stack = make_stack(roles=API, programs=stand_in("dawdle"))
    start = asyncio.create_task(stack.start())
    await until(lambda: stack.node("api:1").state == "starting")
    await stack.stop()
    with pytest.raises(StartError, match="stopped while it was starting"):
        await start
    assert not stack.folder.exists()
    assert stack.node("api:1").pid is None
