"""An engine whose snapshots are pickles of its replica. Run as a program, by tests only."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Final

from trading.engine import __main__ as program
from trading.engine.node import EngineNode
from trading.engine.replica import Replica
from trading.engine.snapshots import SnapshotCodec, SnapshotFormatError
from trading.infra.settings import Settings


def freeze(replica: Replica) -> Callable[[], bytes]:
    body = pickle.dumps(replica)
    return lambda: body


def restore(body: bytes) -> Replica:
    try:
        replica = pickle.loads(body)
    except pickle.UnpicklingError as error:
        raise SnapshotFormatError(str(error)) from error
    assert isinstance(replica, Replica)
    return replica


CODEC: Final = SnapshotCodec(version=1, freeze=freeze, restore=restore)


class SnapshottingNode(EngineNode):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, CODEC)


if __name__ == "__main__":
    program.EngineNode = SnapshottingNode  # type: ignore[misc]
    program.main()
