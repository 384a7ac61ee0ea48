"""The record for people and their tools: report.html (opens offline) and the files of JUDGEMENT.

The same record gives the same bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from reports import queries
from reports.charts import all_charts
from reports.commits import commits
from reports.gate import judge
from reports.junit import junit_xml
from reports.latency import (
    QUANTILES,
    SAMPLES_BEYOND,
    LatencyRow,
    latency_by_node,
    latency_by_phase,
    latency_table,
)
from reports.openmetrics import openmetrics_text
from reports.outage import SETTLE_S, Outage, longest_usual_gap_ms, outages
from reports.pages import ms, page, utc
from reports.record import MissingPartError, Record
from reports.recovery import milestones, recoveries
from reports.resources import bottleneck, uses
from reports.results import Verdict
from reports.run_folder import write_text
from reports.summary import summary_markdown
from reports.timeline import NS_PER_S, measured
from reports.validity import judge_validity

QUERIES_FILE: Final = "queries.sql"
OPENMETRICS_FILE: Final = "openmetrics.txt"
JUDGEMENT: Final = ("verdict.json", "summary.md", "junit.xml", OPENMETRICS_FILE, "report.html")


def rebuild(folder: Path) -> Verdict:
    """Every output from the record alone: queries.sql and what JUDGEMENT names.

    Needs checks.json. Raises OSError when the folder cannot be written.
    """
    record = Record(folder)
    verdict = judge(record)
    write_text(folder / "summary.md", summary_markdown(record, verdict))
    write_text(folder / "junit.xml", junit_xml(record, verdict))
    write_text(folder / OPENMETRICS_FILE, _openmetrics(record, verdict))
    write_text(folder / QUERIES_FILE, queries.text())
    write_text(folder / "report.html", report_html(record, verdict))
    return verdict


def report_html(record: Record, verdict: Verdict) -> str:
    """One page without any reference to the network. Everything from the record is escaped."""
    return page(
        "report.html.j2",
        all_charts(record),
        run=_or(lambda: record.run, {}),
        folder=record.folder.name,
        started=_or(lambda: utc(record.run["started_ns"]), ""),
        verdict=verdict,
        findings=judge_validity(record),
        checks=_or(record.checks, []),
        latencies=_or(lambda: latency_table(record), []),
        feed_quality=_or(lambda: record.feed_quality, []),
        elsewhere=_or(lambda: [*latency_by_node(record), *latency_by_phase(record)], []),
        samples_beyond=SAMPLES_BEYOND,
        recoveries=_or(lambda: [(each, dict(milestones(each))) for each in recoveries(record)], []),
        quantiles=list(QUANTILES),
        outages=_or(lambda: outage_rows(record), []),
        usual_gap_ms=_or(lambda: longest_usual_gap_ms(record), None),
        settle_s=SETTLE_S,
        uses=_or(lambda: uses(record), []),
        commits=_or(lambda: commits(record), []),
        bottleneck=_or(lambda: bottleneck(record), ""),
        percentile_text=percentile_text,
        sources=queries.queries(),
        views=queries.views(),
    )


def _openmetrics(record: Record, verdict: Verdict) -> str:
    checks, latencies = _or(record.checks, []), _or(lambda: latency_table(record), [])
    return openmetrics_text(record.folder.name, verdict, checks, latencies)


def outage_rows(record: Record) -> list[dict[str, Any]]:
    """A row per fault for the outage table; moments in seconds of the measured phase."""
    zero_ns, _ = measured(record)
    seconds = partial(_since, zero_ns)
    return [_outage_row(outage, seconds) for outage in outages(record)]


def percentile_text(row: LatencyRow, name: str) -> str:
    found = row.percentiles.get(name)
    return "–" if found is None else ms(found.value)


def _outage_row(outage: Outage, seconds: Any) -> dict[str, Any]:
    fault = outage.fault
    return {
        "fault": fault.label,
        "fault_id": fault.fault_id,
        "injected": seconds(fault.injected_ns),
        "undone": "for good" if fault.permanent else seconds(fault.undone_ns),
        "last_before": seconds(outage.last_before_ns),
        "first_after": seconds(outage.first_after_ns) if outage.recovered else "never",
        "duration_ms": outage.duration_ms,
        "bit": fault.bit,
        "evidence": fault.evidence.get("summary") or "",
    }


def _since(zero_ns: int, at_ns: int | None) -> str:
    return "never" if at_ns is None else f"{(at_ns - zero_ns) / NS_PER_S:.3f} s"


def _or(value: Any, default: Any) -> Any:
    """The value, or ``default`` where the record lacks what it needs: the report says so under validity."""
    try:
        return value()
    except (MissingPartError, KeyError):
        return default
