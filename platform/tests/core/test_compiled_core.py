"""The compiled core does what its sources say, and is never taken for the build of other sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from trading import compiled, compiler
from trading.compiled import INTERPRETED
from trading.core import exchange
from trading.core.exchange import Exchange
from trading.core.state import state_of

from .flow import LIVELY, Flow

COMMANDS = 5_000
PLATFORM = Path(compiled.__file__).parents[1]
LEVELS = "def worth(price_micros: int, shares: int) -> int:\n    return price_micros * shares\n"


def tell_what_happens() -> None:
    """Prints a digest of all that becomes of a seeded flow, and which core it was."""
    market, flow, told = Exchange(), Flow(Random(7), LIVELY), hashlib.blake2b()
    for number, command in enumerate([*flow.opening(), *[flow.next] * COMMANDS]):
        outcome = market.apply(command() if callable(command) else command)
        flow.saw(outcome)
        told.update(repr(outcome).encode())
        if number % 500 == 0:
            told.update(state_of(market).hash().encode())
    told_by = (compiled.kind(exchange), str(market.sequence), told.hexdigest(), state_of(market).hash())
    sys.stdout.write(" ".join(told_by))


def run_python(*arguments: str, path: Path = PLATFORM, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != INTERPRETED}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "PYTHONPATH": str(path), **env},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.skipif(not compiled.build_folder().is_dir(), reason="the core is not compiled: make setup")
def test_the_compiled_core_tells_the_same_events_and_hashes_as_its_sources() -> None:
    by_name = "from tests.core.test_compiled_core import tell_what_happens; tell_what_happens()"
    first = run_python("-c", by_name).stdout.split()
    second = run_python("-c", by_name, **{INTERPRETED: "1"}).stdout.split()
    assert (first[0], second[0]) == ("compiled", "interpreted")
    assert int(first[1]) > COMMANDS // 2
    assert first[1:] == second[1:]


# -- a small core of one module, which compiles in seconds -----------------------------------------------


@pytest.fixture
def small_platform(tmp_path: Path) -> Path:
    platform = tmp_path / "platform"
    core = platform / "trading" / "core"
    core.mkdir(parents=True)
    (core.parent / "__init__.py").touch()
    for module in (compiled, compiler):
        shutil.copy(str(module.__file__), core.parent)
    shutil.copy(compiled.SOURCES / "__init__.py", core)
    (core / "levels.py").write_text(LEVELS)
    return platform


def compile_small(platform: Path, **env: str) -> str:
    return run_python("-m", "trading.compiler", path=platform, **env).stderr


def worth(platform: Path, **env: str) -> tuple[str, str]:
    """(which core it was, what it says)"""
    shown = "from trading.core import levels; print(levels.__file__, levels.worth(3, 4))"
    file, result = run_python("-c", shown, path=platform, **env).stdout.split()
    return "interpreted" if file.endswith(".py") else "compiled", result


def builds(platform: Path) -> list[str]:
    return sorted(path.name for path in (platform.parent / ".compiled").iterdir() if path.is_dir())


def test_a_build_serves_its_own_sources_and_no_others(small_platform: Path) -> None:
    module = small_platform / "trading" / "core" / "levels.py"
    assert worth(small_platform) == ("interpreted", "12")
    if "interpreted" in compile_small(small_platform):
        pytest.skip("there is no C compiler here")
    assert worth(small_platform) == ("compiled", "12")
    assert worth(small_platform, **{INTERPRETED: "1"}) == ("interpreted", "12")
    module.write_text(LEVELS.replace("*", "+"))
    assert worth(small_platform) == ("interpreted", "7")
    compile_small(small_platform)
    assert worth(small_platform) == ("compiled", "7")
    module.write_text(LEVELS)
    assert worth(small_platform) == ("compiled", "12"), "the earlier build is kept"
    (module.parent / "orders.py").write_text("TICK = 1\n")
    assert worth(small_platform) == ("interpreted", "12"), "a new module is another core"


def test_what_was_interrupted_leaves_nothing_and_two_at_once_compile_once(small_platform: Path) -> None:
    left = small_platform.parent / ".compiled" / "building-1234"
    left.mkdir(parents=True)
    (left / "levels.so").write_text("half of a library")
    command, env = (sys.executable, "-m", "trading.compiler"), {**os.environ, "PYTHONPATH": str(small_platform)}
    both = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[1] for process in both]
    if "interpreted" in told[0]:
        pytest.skip("there is no C compiler here")
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("compiling" in text for text in told) == [False, True]
    assert len(builds(small_platform)) == 1
    assert worth(small_platform) == ("compiled", "12")
    assert compile_small(small_platform) == "", "it is built already"


def test_without_a_compiler_the_core_stays_as_it_is_and_says_so_in_one_line(small_platform: Path) -> None:
    said = compile_small(small_platform, PATH="", CC="")
    assert "stays interpreted" in said
    assert "no C compiler" in said
    assert said.count("\n") == 1
    assert worth(small_platform) == ("interpreted", "12")


def test_sources_that_do_not_compile_stay_interpreted(small_platform: Path) -> None:
    module = small_platform / "trading" / "core" / "levels.py"
    module.write_text(LEVELS + "\n\nPRICE: int = 'ten'\n")
    assert "stays interpreted" in compile_small(small_platform).splitlines()[-1]
    assert worth(small_platform) == ("interpreted", "12")
    assert builds(small_platform) == []
