from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trading.compiled import INTERPRETED, compiled_core

from .floor import Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """What patches the core runs in another process, with the interpreted one: compiled calls see no patch."""
    if pyfuncitem.get_closest_marker("interpreted") is None or not compiled_core():
        return None
    failures = _failures_interpreted(pyfuncitem.path, pyfuncitem.config.rootpath)
    if failure := failures[pyfuncitem.name]:
        pytest.fail(failure, pytrace=False)
    return True


@cache
def _failures_interpreted(module: Path, root: Path) -> dict[str, str]:
    """How each test of the module that is marked so failed; nothing for one that passed."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = (sys.executable, "-m", "pytest", "-m", "interpreted", f"--junitxml={results}", str(module))
        env = {**os.environ, INTERPRETED: "1"}
        run = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        assert results.exists(), run.stdout + run.stderr
        cases = ElementTree.parse(results).iter("testcase")
        return {case.attrib["name"]: "\n".join(child.text or child.tag for child in case) for case in cases}
