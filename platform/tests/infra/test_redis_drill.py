"""A short run of the drills of Redis: what they look at is there, and within the budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.redis import BUDGET_S, run_drills
from stack.options import WITHOUT_BACKUPS, StackOptions

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_the_feed_and_log_ins_are_back_soon_and_no_order_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSON_RATE_LIMITS", "{}")  # the drill sets its own; this puts back what was there
    found = (await run_drills({"kill -9": 1}, StackOptions(tmp_path, roles=WITHOUT_BACKUPS), quiet_s=1.0))["kill -9"]
    assert len(found.feed_s) == len(found.logins_s) == len(found.whole_s) == 1
    # Other tests run beside this one: whether the budget itself is kept is for the whole drill to judge.
    assert max(found.feed_s + found.logins_s) <= 2 * BUDGET_S
    assert min(len(found.quiet_s), len(found.hurt_s)) > 20
