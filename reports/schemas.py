"""The schemas of the JSON that machines read, as files: ``python -m reports.schemas`` writes reports/published."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from reports.compared import Comparison
from reports.results import Verdict
from reports.run_folder import write_json

PUBLISHED: Final = Path(__file__).parent / "published"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """By file name: of verdict.json (of a run or of repeats) and of against-RUN.json."""
    kinds = {"verdict.schema.json": Verdict, "against.schema.json": Comparison}
    return {name: {"$schema": _DIALECT, **msgspec.json.schema(kind)} for name, kind in kinds.items()}


def main() -> None:
    for name, schema in schemas().items():
        write_json(PUBLISHED / name, schema)


if __name__ == "__main__":
    main()
