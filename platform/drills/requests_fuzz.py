"""Requests nobody would write, made from the API's own OpenAPI document and sent as every kind of caller.

Two things must hold whatever is asked: no answer is a server error that was not meant as one, and a refused request
leaves the books as they were.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import local
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.errors import InvalidSchema
from schemathesis.core.result import Err, Ok
from schemathesis.schemas import APIOperation

DELIBERATE: Final = frozenset({503, 504})
_AT_ONCE: Final = 4
_CASES_PER_ROUND: Final = 250
_TIMEOUT_S: Final = 20.0
_MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class Asked:
    """A request as it can be sent again, and again as somebody else; ``label`` is method and route template."""

    label: str
    arguments: Mapping[str, Any]


@dataclass
class Findings:
    sent: int = 0
    refused_again: int = 0  # requests between two equal states of the books
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def note(self, asked: Asked, who: str, status: int, text: str) -> None:
        self.sent += 1
        self.statuses[asked.label, status] += 1
        if status >= 500 and status not in DELIBERATE:
            self.complain(f"{status} to {asked.label} as {who}: {text[:200]!r}, asked {asked.arguments!r:.600}")
        elif status >= 400 and not _is_error(text):
            self.complain(f"{status} to {asked.label} is not code and message: {text[:200]!r}")

    def complain(self, problem: str) -> None:
        if len(self.problems) < _MOST_SHOWN:
            self.problems.append(problem)


def fuzz_requests(
    base_url: str,
    callers: Mapping[str, Mapping[str, str]],
    books: Callable[[], str],
    *,
    symbol: str,
    cases: int,
    number: int,
) -> Findings:
    """Sends ``cases`` different requests as each of ``callers`` (name: headers), and the refused ones once more.

    ``books`` gives the state hash of the exchange, ``symbol`` is one listed there; ``number`` seeds the generator.
    """
    findings, generate = Findings(), _generator(base_url, symbol)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for start in range(0, cases, _CASES_PER_ROUND):
            asked = generate(min(_CASES_PER_ROUND, cases - start), number + start)
            everybody = [(one, who) for one in asked for who in callers]
            answers = threads.map(lambda pair: _send(base_url, pair[0], callers[pair[1]]), everybody)
            refused = []
            for (one, who), (status, text) in zip(everybody, answers, strict=True):
                findings.note(one, who, status, text)
                if 400 <= status < 500:
                    refused.append((one, who))
            _refuse_again(base_url, callers, books, refused, findings)
    return findings


def _refuse_again(
    base_url: str,
    callers: Mapping[str, Mapping[str, str]],
    books: Callable[[], str],
    refused: list[tuple[Asked, str]],
    findings: Findings,
) -> None:
    """One after another, so that a request which is taken this time is not mistaken for one that was refused."""
    before = books()
    for asked, who in refused:
        status, text = _send(base_url, asked, callers[who])
        findings.note(asked, who, status, text)
        if status < 400:
            before = books()
            continue
        findings.refused_again += 1
    if books() != before:
        findings.complain(f"one of {len(refused)} refused requests changed the books")


def _generator(base_url: str, symbol: str) -> Callable[[int, int], list[Asked]]:
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")
    every = st.one_of(
        [
            _operation(found).as_strategy(generation_mode=mode)
            for found in schema.get_all_operations()
            for mode in GenerationMode
        ]
    )

    def generate(count: int, number: int) -> list[Asked]:
        asked: list[Asked] = []

        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=every)
        def collect(case: Case[Any]) -> None:
            arguments = case.as_transport_kwargs(base_url=base_url)
            body = arguments.get("json")
            if isinstance(body, dict) and "symbol" in body and len(asked) % 2:
                body["symbol"] = symbol  # else hardly anything would get past the question whether it is listed
            asked.append(Asked(case.operation.label, arguments))

        collect()
        return asked

    return generate


def _operation(found: Ok[APIOperation[Any, Any, Any, Any]] | Err[InvalidSchema]) -> APIOperation[Any, Any, Any, Any]:
    if isinstance(found, Err):
        raise found.err()
    return found.ok()


_thread = local()


def _send(base_url: str, asked: Asked, caller: Mapping[str, str]) -> tuple[int, str]:
    """What cannot be put on the wire at all, such as a header with a line break in it, counts as refused."""
    if not hasattr(_thread, "session"):
        _thread.session = requests.Session()
    headers = {**asked.arguments.get("headers", {}), **caller}
    try:
        answer = _thread.session.request(
            **{**asked.arguments, "headers": headers}, timeout=_TIMEOUT_S, allow_redirects=False
        )
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
        return 400, '{"code": 0, "message": "not sent"}'
    return answer.status_code, answer.text


def _is_error(text: str) -> bool:
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and {"code", "message"} <= body.keys()
