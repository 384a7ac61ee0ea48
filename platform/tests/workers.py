"""Which worker of a test run gets what: all modules that share a stack go to one, so that there is one such stack."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

from tests.shared import SHARED

_ROOT = Path(__file__).resolve().parents[2]


class ByStack(LoadScopeScheduling):
    """By file, but for those. xdist's own groups come with the tests' names, which pytest no longer lets it change."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return stack_of(module) or module


@cache
def stack_of(module: str) -> str | None:
    """The first of the shared stacks that a test of ``module``, a path below the root, asks for.

    The controlling process collects no tests, so it reads the fixtures off the source.
    """
    path = _ROOT / module
    conftests = (folder / "conftest.py" for folder in reversed(path.parents) if folder.is_relative_to(_ROOT))
    asks = dict(chain.from_iterable(map(_asks, (*filter(Path.exists, conftests), path))))  # the nearest one holds
    names, todo = set[str](), {name for name in asks if name.startswith("test_")}
    while todo:
        names |= todo
        todo = {asked for name in todo for asked in asks.get(name, ())} - names
    return next((name for name in SHARED if name in names), None)


@cache
def _asks(path: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every function of a module with the names of its arguments: a fixture or a test asks for those."""
    return tuple(_functions(ast.parse(path.read_text(encoding="utf-8"))))


def _functions(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests."):
            yield from _asks(_ROOT / "platform" / f"{node.module.replace('.', '/')}.py")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, tuple(argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
