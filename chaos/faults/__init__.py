"""Every kind of fault the workbench knows, under the name scenarios and ``elson fault add`` use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.fault import Fault, FaultError
from chaos.faults.cut import Cut
from chaos.faults.disk_full import DiskFull
from chaos.faults.freeze import Freeze
from chaos.faults.kill import Kill
from chaos.faults.latency import Latency
from chaos.faults.lose import Lose
from chaos.faults.switchover import Switchover
from chaos.faults.wrong_delete import WrongDelete

KINDS: Final[Mapping[str, type[Fault]]] = {
    "latency": Latency,
    "cut": Cut,
    "kill": Kill,
    "freeze": Freeze,
    "switchover": Switchover,
    "lose": Lose,
    "wrong_delete": WrongDelete,
    "disk_full": DiskFull,
}


def make_fault(kind: str, target: str, value: str | None) -> Fault:
    """Raises FaultError for an unknown kind or a value of the wrong form."""
    if kind not in KINDS:
        raise FaultError(f"unknown fault {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind].parse(target, value)
