"""What api and engine say to each other: a list of commands in, a list of answers out, in the same order.

Commands travel in the journal's encoding with ``at_ns`` 0, each with its deadline; the engine stamps the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from trading.core.commands import CancelAll, CancelOrder, ChangePhase, Command, SetKillSwitch
from trading.core.orders import RejectReason
from trading.wire.journal import decode_numbered_commands
from trading.wire.orders import OrderView

COMMANDS_PATH: Final = "/commands"
NO_DEADLINE_NS: Final = 2**63 - 1


class Submission(NamedTuple):
    """A command that must not be executed any more once the wall clock is past ``deadline_ns``."""

    deadline_ns: int
    command: Command


def urgent(command: Command) -> bool:
    """Whether it takes risk away or moves a market: such overtake orders, and a queue full of those refuses none."""
    return isinstance(command, CancelOrder | CancelAll | SetKillSwitch | ChangePhase)


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The command is durable. ``order`` is the order as its acceptance left it, None for other commands."""

    sequence: int
    order: OrderView | None = None


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    """The command changed nothing."""

    reason: RejectReason
    message: str


Answer = Done | Denied


class EngineState(msgspec.Struct, frozen=True):
    """``role`` is active or standby; ``sequence`` the last record applied."""

    node: str
    role: str
    epoch: int
    sequence: int


def encode_commands(commands: Iterable[tuple[int, bytes]]) -> bytes:
    """A request's body from deadlines (ns since the Unix epoch) and commands encoded by ``encode_command``."""
    return b"[%b]" % b",".join(b"[%d,%b]" % submission for submission in commands)


def decode_commands(body: bytes) -> list[Submission]:
    """Raises JournalFormatError for anything that is no list of deadlines with commands."""
    return [Submission(*numbered) for numbered in decode_numbered_commands(body)]


encode_answers: Final = msgspec.json.Encoder().encode
decode_answers: Final = msgspec.json.Decoder(list[Answer]).decode
decode_state: Final = msgspec.json.Decoder(EngineState).decode
