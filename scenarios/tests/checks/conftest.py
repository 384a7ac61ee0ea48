"""One synthetic record on which every check holds; each test spoils a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reports.tests.synthetic import write_record


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_record(tmp_path_factory.mktemp("records") / "honest")


@pytest.fixture
def folder(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "run"))
