"""One synthetic record for all tests of a session; a test that changes it gets its own copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from reports.results import CheckResult, CheckVerdict
from reports.run_folder import write_json
from reports.tests.synthetic import write_record


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_record(tmp_path_factory.mktemp("records") / "original")
    write_checks(folder, CheckVerdict.HOLDS)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "20260101T100000Z-quickstart"))


def write_checks(folder: Path, verdict: CheckVerdict, **figures: int) -> None:
    """What scenarios.checks would have found, as far as judging cares."""
    counted = {"acknowledged": 987, "lost": 0, "doubled": 0, "unknown": 3, **figures}
    known = verdict is not CheckVerdict.CANNOT_TELL
    result = CheckResult(
        name="acknowledged_orders",
        title="Acknowledged orders exist exactly once",
        verdict=verdict,
        summary="<b>0 lost</b>",
        evidence=[{"problem": "<img src=x onerror=alert(1)>"}],
        figures=counted if known else {},
    )
    write_json(folder / "checks.json", msgspec.to_builtins([result]))
