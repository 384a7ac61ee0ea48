"""Commands sent straight to the engine that leads, past the api."""

from __future__ import annotations

import aiohttp

from stack.embedded import EmbeddedStack
from trading.core.commands import Command
from trading.wire.engine import COMMANDS_PATH, NO_DEADLINE_NS, Done, decode_answers, encode_commands
from trading.wire.journal import encode_command


async def accepted(stack: EmbeddedStack, *commands: Command) -> list[Done]:
    """The answers; a refusal fails the test."""
    (active,) = await stack.resolve("engine:active")
    body = encode_commands((NO_DEADLINE_NS, encode_command(command)) for command in commands)
    async with (
        aiohttp.ClientSession() as http,
        http.post(stack.base_url(active.name) + COMMANDS_PATH, data=body) as response,
    ):
        assert response.status == 200, await response.text()
        answers = decode_answers(await response.read())
    done = [answer for answer in answers if isinstance(answer, Done)]
    assert len(done) == len(commands), answers
    return done
