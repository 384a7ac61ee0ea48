"""The parts of a scenario that make several runs of it, judged side by side: variants, and the search for a limit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from reports.search import Search
from scenarios.parts import Part

# Values by path for each name, as in {three-apis: {topology.apis: 3}}.
Variants = dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")], dict[str, Any]]


class SearchPart(Part):
    """Which value of one setting is the highest that keeps every objective: ``reports.search`` says how it is found."""

    path: str
    """Of the setting, as load.rate_per_s."""
    from_: float = Field(alias="from", gt=0)
    """The first value; doubled until one does not hold."""
    to: float
    """No value above it is tried."""
    within: float = Field(gt=0)
    """How far apart the highest that holds and the lowest that does not may be in the end."""
    at_least: float | None = None
    """What must hold for a PASS; the first value unless given."""

    @model_validator(mode="after")
    def _leads_up(self) -> SearchPart:
        if self.to <= self.from_:
            raise ValueError(f"to must be more than from, {self.to:g} is not")
        return self

    @property
    def search(self) -> Search:
        return Search(self.path, start=self.from_, most=self.to, within=self.within, at_least=self.at_least)
