"""Thousands of frames that make no sense: each is answered or its sender sent away, and nobody else notices."""

from __future__ import annotations

import aiohttp
import pytest

from drills.frames_fuzz import Target, fuzz_frames
from tests.client import Client, limit_order
from tests.feed.listener import market_data, same_book

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]

MESSAGES = 19_000
SEED = 5


async def test_whatever_comes_is_answered_and_others_feel_nothing(client: Client) -> None:
    who = client.status.accounts[3]
    feed = client.status.endpoints["feed"][0]
    target = Target(feed, who.key_id, who.secret_key, symbol="FED")
    async with market_data(client, account=4) as bystander:
        findings = await fuzz_frames(target, count=MESSAGES, seed=SEED)
        assert findings.problems == [], f"seed {SEED}"
        assert findings.messages == MESSAGES
        for answer in ("success", "subscription", "listening", "authorization", *(f"error {n}" for n in (400, 401))):
            assert findings.answers[answer] > 20, findings.answers
        assert findings.closed[1002] > 5, "of the frames that are no WebSocket's"
        await client.place(limit_order("buy", 1, "5.00", symbol="FED"))
        await same_book(client, bystander)
    async with aiohttp.ClientSession() as http, http.get(f"{feed.replace('ws', 'http', 1)}/health/ready") as answer:
        assert answer.status == 200
