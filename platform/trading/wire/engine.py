"""What api and engine say to each other: a list of commands in, a list of answers out, in the same order.

Commands travel in the journal's encoding with ``at_ns`` 0; the engine stamps the time.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trading.core.commands import Command
from trading.core.orders import RejectReason
from trading.wire.journal import decode_command_parts
from trading.wire.orders import OrderView

COMMANDS_PATH: Final = "/commands"


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


def encode_commands(commands: list[bytes]) -> bytes:
    """A request's body from commands already encoded by ``encode_command``."""
    return b"[%b]" % b",".join(commands)


def decode_commands(body: bytes) -> list[Command]:
    """Raises JournalFormatError or msgspec.DecodeError for anything that is no list of commands."""
    return [decode_command_parts(parts) for parts in _decode_list(body)]


encode_answers: Final = msgspec.json.Encoder().encode
decode_answers: Final = msgspec.json.Decoder(list[Answer]).decode
decode_state: Final = msgspec.json.Decoder(EngineState).decode
_decode_list: Final = msgspec.json.Decoder(list[list[Any]]).decode
