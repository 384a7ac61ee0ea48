"""The rules of the house, as tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from chaos.faults import KINDS
from scenarios.checks import ALL_CHECKS
from scenarios.library import find_scenario, profile_names, scenario_names
from scenarios.loader import load_scenario
from tests.shared import SHARED
from tests.workers import stack_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("platform", "simulator", "loadtests", "chaos", "scenarios", "reports")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = [path for path in MODULES if "tests" in path.parts]

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 70
BANNED_NAMES = {"utils", "common", "helpers", "manager", "base", "service_layer"}

# Fault kinds and load profiles that no scenario uses, each with the reason.
UNUSED: dict[str, str] = {}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_modules_to_judge() -> None:
    assert len(MODULES) > 100
    assert len(TESTS) > 20


def test_platform_holds_only_folders_and_its_pages() -> None:
    # A module in it would shadow the standard library's platform.
    files = {path.name for path in (ROOT / "platform").iterdir() if not path.is_dir()}
    assert files <= {"README.md", "ALPACA.md"}


def test_no_module_is_longer_than_can_be_read_in_one_go() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MAX_MODULE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{relative(path)}:{function.name}": length
        for path in MODULES
        if "versions" not in path.parts  # a migration is one list of statements
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_no_module_or_package_has_a_name_that_says_nothing() -> None:
    named = {relative(path) for path in MODULES if BANNED_NAMES & {path.stem, *path.parts}}
    assert named == set()


def test_every_module_says_in_one_docstring_what_it_is() -> None:
    spoken_for = [path for path in MODULES if path not in TESTS and path.read_text(encoding="utf-8").strip()]
    silent = [relative(path) for path in spoken_for if not _docstring(path)]
    assert silent == []


def test_our_own_code_is_never_mocked() -> None:
    assert [relative(path) for path in TESTS if any(_mocks(path))] == []


def test_what_counts_as_a_mock_is_found(tmp_path: Path) -> None:
    for number, text in enumerate(
        (
            "from unittest import mock",
            "import unittest.mock",
            "from unittest.mock import patch",
            "double = MagicMock()",
            "def test(monkeypatch): monkeypatch.setattr(target, 'name', None)",
        )
    ):
        (tmp_path / f"{number}.py").write_text(text)
        assert any(_mocks(tmp_path / f"{number}.py")), text


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_of_the_catalogue_loads(name: str) -> None:
    load_scenario(find_scenario(name))


def test_every_fault_kind_and_load_profile_is_used_by_a_scenario() -> None:
    scenarios = [load_scenario(find_scenario(name)).scenario for name in scenario_names()]
    used = {fault.kind for scenario in scenarios for fault in scenario.faults}
    used |= {scenario.load.profile for scenario in scenarios}
    there_are = {*KINDS, *profile_names()}
    assert there_are - used == set(UNUSED)
    assert all(UNUSED.values())


def test_every_check_is_asked_of_every_run() -> None:
    folder = ROOT / "scenarios" / "checks"
    modules = {path.stem for path in folder.glob("*.py") if re.search(r"^\w*CHECK = Check\(", path.read_text(), re.M)}
    asked = {check.examine.__module__.rpartition(".")[2] for check in ALL_CHECKS}
    assert asked == modules


def test_imports_point_one_way() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def _mocks(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module="unittest.mock") | ast.Name(id="MagicMock" | "AsyncMock"):
                yield ast.unparse(node)
            case ast.ImportFrom(module="unittest", names=names) | ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in ("mock", "unittest.mock"))
            case ast.Attribute(value=ast.Name(id="monkeypatch"), attr="setattr"):
                yield ast.unparse(node)
            case _:
                pass


def test_workers_are_given_modules_by_the_stack_their_tests_share(request: pytest.FixtureRequest) -> None:
    asked: dict[str, set[str]] = {}
    for item in request.session.items:
        names = getattr(item, "fixturenames", ())
        asked.setdefault(item.nodeid.partition("::")[0], set()).update(name for name in names if name in SHARED)
    wrong = {module: (stack_of(module), names) for module, names in asked.items() if stack_of(module) != first(names)}
    assert wrong == {}


def first(names: set[str]) -> str | None:
    return min(names, key=SHARED.index, default=None)
