"""The compiled core: what ``trading.compiler`` built from the very sources that are there now, or nothing.

The sources stay the only truth: a build is kept under a digest of them, so one of other sources is never found.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

INTERPRETED: Final = "ELSON_INTERPRETED_CORE"  # set: the sources themselves, for profiles, patches and coverage
SOURCES: Final = Path(__file__).with_name("core")
BUILDS: Final = Path(__file__).resolve().parents[2] / ".compiled"


def modules(sources: Path = SOURCES) -> list[Path]:
    """What a build depends on: all of the core but its ``__init__``, which looks for the build."""
    return sorted(path for path in sources.glob("*.py") if path.name != "__init__.py")


def build_folder(sources: Path = SOURCES) -> Path:
    """Where the build of these sources for this Python is, or would be."""
    digest = blake2b(EXTENSION_SUFFIXES[0].encode(), digest_size=16)
    for path in modules(sources):
        text = path.read_bytes()
        digest.update(f"\n{path.name} {len(text)}\n".encode() + text)
    return BUILDS / digest.hexdigest()


def kind(module: ModuleType) -> Literal["compiled", "interpreted"]:
    """Which of the two a module is that has been imported."""
    return "interpreted" if str(module.__file__).endswith(".py") else "compiled"


def compiled_core() -> list[str]:
    """The folders to look for the core's modules in before those of its sources: one, or none."""
    if os.environ.get(INTERPRETED) or not BUILDS.is_dir():
        return []
    folder = build_folder()
    return [str(folder)] if folder.is_dir() else []
