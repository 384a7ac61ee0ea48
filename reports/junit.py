"""junit.xml for CI systems: every check and every objective a test case; an invalid run is an error, not a failure."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from reports.record import MissingPartError, Record
from reports.results import CheckResult, CheckVerdict, ObjectiveOutcome, ObjectiveResult, Verdict

# What XML 1.0 cannot carry, not even escaped (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(record: Record, verdict: Verdict) -> str:
    """The Surefire schema's subset that CI systems read."""
    try:
        checks = record.checks()
    except MissingPartError:
        checks = []
    name = _clean(f"elson.{verdict.scenario}")
    suite = ET.Element("testsuite", name=name)
    _case(suite, name, "the run is valid", error="\n".join(verdict.invalid))
    for check in checks:
        _check(suite, name, check)
    for objective in verdict.objectives:
        _objective(suite, name, objective)
    suite.set("tests", str(len(suite)))
    for kind in ("failure", "error", "skipped"):
        suite.set({"failure": "failures", "error": "errors"}.get(kind, kind), str(len(suite.findall(f"*/{kind}"))))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _check(suite: ET.Element, name: str, check: CheckResult) -> None:
    text = "\n".join([check.summary, *map(str, check.evidence)])
    _case(
        suite,
        f"{name}.checks",
        check.title,
        failure=text if check.verdict is CheckVerdict.VIOLATED else "",
        skipped=text if check.verdict is CheckVerdict.CANNOT_TELL else "",
    )


def _objective(suite: ET.Element, name: str, objective: ObjectiveResult) -> None:
    least_or_most = "at least" if objective.at_least else "at most"
    title = f"{objective.title or objective.objective} {least_or_most} {objective.bound:g}"
    _case(
        suite,
        f"{name}.objectives",
        title,
        failure=objective.summary if objective.outcome is ObjectiveOutcome.MISSED else "",
        skipped=objective.summary if objective.outcome is ObjectiveOutcome.CANNOT_TELL else "",
    )


def _case(suite: ET.Element, class_name: str, title: str, **outcomes: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=class_name, name=_clean(title))
    for kind, text in outcomes.items():
        if text:
            first = text.splitlines()[0]
            ET.SubElement(case, kind, message=_clean(first)).text = _clean(text)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
