"""What a check is: a pure question to a record, answered holds, violated or cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reports.record import MissingPartError, Record
from reports.results import MAX_EVIDENCE_ROWS, CheckResult, CheckVerdict

Evidence = dict[str, Any]
Row = TypeVar("Row")


class CannotTellError(Exception):
    """The record does not hold what the question needs; says what."""


@dataclass(frozen=True, slots=True)
class Findings:
    """``violations`` hold a row each of what contradicts the check; none means that it holds."""

    summary: str
    violations: list[Evidence]
    figures: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """``examine`` reads the record and nothing else; CannotTellError and MissingPartError are its third answer."""

    name: str
    title: str
    examine: Callable[[Record], Findings]

    def __call__(self, record: Record) -> CheckResult:
        try:
            findings = self.examine(record)
        except (CannotTellError, MissingPartError) as error:
            return self._result(CheckVerdict.CANNOT_TELL, str(error))
        verdict = CheckVerdict.VIOLATED if findings.violations else CheckVerdict.HOLDS
        return self._result(verdict, findings.summary, findings)

    def _result(self, verdict: CheckVerdict, summary: str, findings: Findings | None = None) -> CheckResult:
        return CheckResult(
            name=self.name,
            title=self.title,
            verdict=verdict,
            summary=summary,
            evidence=findings.violations[:MAX_EVIDENCE_ROWS] if findings else [],
            figures=findings.figures if findings else {},
        )


def present(rows: Sequence[Row], what: str) -> Sequence[Row]:
    """The rows, when there are any. Raises CannotTellError: of nothing nothing can be shown."""
    if not rows:
        raise CannotTellError(f"the record holds no {what}")
    return rows


def differences(expected: Evidence, found: Evidence) -> Evidence:
    """The fields that differ, as {"field": "expected -> found"}."""
    return {key: f"{value} -> {found.get(key)}" for key, value in expected.items() if found.get(key) != value}
