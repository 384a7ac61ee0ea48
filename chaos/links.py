"""The proxied links a fault is aimed at, and the Toxiproxy server that sits in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.fault import FaultError
from chaos.toxics import Toxics
from stack.embedded import EmbeddedStack
from stack.errors import StackError
from stack.status import LinkStatus
from stack.topology import Role, Topology, UnknownSelectorError, matching_links


@dataclass(frozen=True, slots=True)
class ProxiedLinks:
    links: tuple[LinkStatus, ...]
    toxics: Toxics

    @staticmethod
    def check(topology: Topology, selector: str) -> None:
        """Raises FaultError unless the selector matches links, and every one of them is proxied.

        Who will hold a moving role is not known before the platform runs: everybody who could needs a proxied link.
        """
        try:
            links = matching_links(topology.links, selector)
        except UnknownSelectorError as error:
            raise FaultError(str(error)) from error
        _refuse_direct([link.name for link in links if not link.proxied], selector)

    @classmethod
    async def aimed(cls, stack: EmbeddedStack, selector: str) -> list[str]:
        """The names of the links the selector means at this moment. Raises FaultError."""
        try:
            links = await stack.resolve_links(selector)
        except (UnknownSelectorError, StackError) as error:
            raise FaultError(str(error)) from error
        _refuse_direct([link.name for link in links if not link.proxied], selector)
        return [link.name for link in links]

    @classmethod
    def named(cls, stack: EmbeddedStack, names: list[str]) -> ProxiedLinks:
        status = stack.status()
        known = {link.name: link for link in status.links}
        return cls(tuple(known[name] for name in names), Toxics(status.toxiproxy))

    def __iter__(self) -> Iterator[LinkStatus]:
        return iter(self.links)


def port_of(link: LinkStatus) -> int:
    """Where the link's client connects to."""
    return int(link.listen.rpartition(":")[2])


def role_of(link: LinkStatus) -> Role:
    """What answers at the link's far end."""
    return Role(link.to.partition(":")[0])


def _refuse_direct(names: list[str], selector: str) -> None:
    if names:
        how = f"topology: proxied: [{selector}], or elson up --proxied '{selector}'"
        raise FaultError(f"{', '.join(names)} is a direct link: proxy it ({how}) to hurt it")
