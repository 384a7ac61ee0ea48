"""What every page has in common: one self-contained file, in one style, with the record's text escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.timeline import NS_PER_S

_TEMPLATES: Final = Path(__file__).parent / "templates"


def page(template: str, charts: Mapping[str, Any], **values: Any) -> str:
    """The page as text, without any reference to the network; Plotly is in it when there is a chart to draw."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(ms=ms, count=_count, change=_change, number=_number, points=_points, pretty=_pretty)
    return environment.get_template(template).render(
        charts=sorted(charts), chart_data=_script_json(charts), plotly=_plotly() if charts else "", **values
    )


def ms(value: float | None) -> str:
    if value is None:
        return "?"
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def utc(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _plotly() -> Markup:
    return Markup((resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8"))


def _script_json(value: Any) -> Markup:
    """JSON that cannot end its script element nor open a comment in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _change(value: float | None, unit: str = "%", digits: int = 1) -> str:
    return "?" if value is None else f"{value:+,.{digits}f} {unit}"


def _number(value: float | None, figure: str) -> str:
    """A latency, or of a figure ``..._per_s`` a rate."""
    if figure.endswith("_per_s"):
        return "?" if value is None else f"{value:,.1f}"
    return ms(value)


def _points(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:+.3f}"


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
