"""Whatever is asked of the API: no crash, no server error that is not meant, no book changed by a refusal."""

from __future__ import annotations

import asyncio

import pytest

from drills.fuzz import ask_everything
from stack.embedded import EmbeddedStack

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

CASES = 250  # each as four callers, and the refused ones once more; `make fuzz` sends many more


@pytest.mark.timeout(300)
async def test_no_request_breaks_the_api_or_changes_the_books_when_refused(own_platform: EmbeddedStack) -> None:
    findings = await asyncio.to_thread(ask_everything, own_platform.status(), cases=CASES, number=20)
    assert not findings.problems, "\n".join(findings.problems)
    assert findings.refused_again > CASES
    asked = {label for label, _ in findings.statuses}
    assert len(asked) > 40, f"only {len(asked)} endpoints were reached"
