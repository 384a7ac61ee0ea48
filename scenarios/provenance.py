"""Where a run's figures come from: the commit, the versions of everything, and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psutil

from stack.binaries import parts

_CHECKOUT: Final = Path(__file__).resolve().parent.parent
_PACKAGES: Final = ("elson", "asyncpg", "fastapi", "locust", "numpy", "pyarrow", "redis", "simpy", "uvicorn", "uvloop")


def commit() -> tuple[str | None, bool]:
    """The commit of the checkout, and whether files differ from it; (None, False) outside a git checkout."""
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return head, bool(changes)


def versions() -> dict[str, str]:
    found = {part.name: part.version or "unknown" for part in parts()}
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}, **found}


def machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()),  # of the minute before: a busy machine explains odd figures
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_CHECKOUT, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
