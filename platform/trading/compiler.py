"""``python -m trading.compiler``: compiles the core with mypyc, where there is a C compiler; else it stays as it is."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from trading.compiled import BUILDS, build_folder, modules

_KEPT_BUILDS: Final = 4  # whoever goes to and fro between branches does not compile each time
_BUILT_BY: Final = "built-by"
_LAST_LINES: Final = 3

# Of values that travel the wire formats read the annotations, which mypyc does not keep.
_VALUES: Final = frozenset({"commands.py", "events.py", "orders.py", "state.py"})

# Runs beside a copy of the core, as the package trading.core, in which the library that its modules share lies too.
_SETUP: Final = """
import json, sys
from setuptools import setup
from mypyc.build import mypycify

known, compiled = map(json.loads, sys.argv[1:])
modules = mypycify(
    ["--strict", *known], only_compile_paths=compiled, opt_level="2", debug_level="0", group_name="trading.core.all"
)
setup(name="core", ext_modules=modules, script_args=["-q", "build_ext", "--build-lib", "built", "--build-temp", "temp"])
"""


class CompileError(Exception):
    """Why there is no compiled core."""


def main() -> int:
    """Always succeeds: without a compiler the core runs as it is, at half the speed."""
    try:
        compile_core()
    except (CompileError, OSError) as problem:
        sys.stderr.write(f"the trading core stays interpreted, at half its speed: {problem}\n")
    return 0


def compile_core() -> None:
    """Builds what is not built yet. Two at once build it once; one that is interrupted leaves nothing behind."""
    folder = build_folder()
    if _is_built(folder):
        return
    compiler = _c_compiler()
    with _alone():
        if _is_built(folder):
            return
        sys.stderr.write("compiling the trading core, which takes up to a minute, once after each change of it\n")
        with tempfile.TemporaryDirectory(prefix="building-", dir=BUILDS) as place:
            built = _compile(Path(place), folder, compiler)
            (built / _BUILT_BY).write_text(_built_by(), encoding="ascii")
            shutil.rmtree(folder, ignore_errors=True)
            built.rename(folder)
        _forget_old_builds()


def _built_by() -> str:
    return f"mypy {version('mypy')}\n"


def _is_built(folder: Path) -> bool:
    stamp = folder / _BUILT_BY
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _built_by()


def _c_compiler() -> str:
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise CompileError("Python's header files are not installed")
    wanted = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    for command in (wanted, "cc", "gcc", "clang"):
        if shutil.which(shlex.split(command)[0]):
            return str(command)
    raise CompileError("no C compiler was found (cc, gcc or clang)")


def _compile(place: Path, folder: Path, compiler: str) -> Path:
    """Returns where the extension modules are, named as the core's modules, and the library that they share."""
    core = place / "trading" / "core"
    core.mkdir(parents=True)
    for package in (core.parent, core):
        (package / "__init__.py").touch()
    for path in modules():
        shutil.copyfile(path, core / path.name)
    if build_folder(core) != folder:
        raise CompileError("its sources are being changed")
    known = [str(path.relative_to(place)) for path in modules(core)]
    compiled = [str(path.relative_to(place)) for path in modules(core) if path.name not in _VALUES]
    command = (sys.executable, "-c", _SETUP, json.dumps(known), json.dumps(compiled))
    env = {**os.environ, "CC": compiler}
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:]
        raise CompileError(f"mypyc or {compiler} failed: {' / '.join(last)}")
    return place / "built" / "trading" / "core"


@contextmanager
def _alone() -> Iterator[None]:
    """One compiler at a time; what was left behind by one that was killed goes."""
    BUILDS.mkdir(exist_ok=True)
    with (BUILDS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in BUILDS.glob("building-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _forget_old_builds() -> None:
    builds = sorted((path.parent for path in BUILDS.glob(f"*/{_BUILT_BY}")), key=lambda path: path.stat().st_mtime)
    for build in builds[:-_KEPT_BUILDS]:
        shutil.rmtree(build, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
