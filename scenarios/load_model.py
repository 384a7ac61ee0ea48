"""The part ``load`` of a scenario: which profile, how much, and when its operations start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec
from pydantic import Field, field_validator, model_validator

from loadtests.arrivals import KINDS, Arrivals, ArrivalsError, Replay, checked
from loadtests.flows import PROFILES
from loadtests.replay import RecordingError, extent_of, read_day
from scenarios.parts import Duration, Part

Problem = tuple[tuple[str, ...], str]


class ArrivalsPart(Part):
    """A kind alone (``arrivals: constant``) or with what it needs; ``loadtests.arrivals`` says what each one means.

    Shapes begin with the measured phase: all of the warm-up has the load's own rate.
    """

    kind: str = Field(json_schema_extra={"enum": list(KINDS)})
    to_per_s: float | None = None
    over_s: Duration | None = Field(default=None, alias="over")
    at_s: Duration | None = Field(default=None, alias="at")
    for_s: Duration | None = Field(default=None, alias="for")
    amplitude_per_s: float | None = None
    period_s: Duration | None = Field(default=None, alias="period")
    step_per_s: float | None = None
    every_s: Duration | None = Field(default=None, alias="every")
    branching: float | None = None
    decay_per_s: float | None = None
    recording: str | None = None
    """The folder of a simulated day, of elson market run."""

    @model_validator(mode="before")
    @classmethod
    def _bare_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"unknown arrivals {kind!r}; there are {', '.join(KINDS)}")
        return kind

    def build(self) -> Arrivals:
        """Raises ArrivalsError, or TypeError for a missing or superfluous key: ``problems`` finds all of them first."""
        arrivals: Arrivals = KINDS[self.kind](**self._given())
        return arrivals

    def problems(self, rate_per_s: float) -> Iterator[Problem]:
        """Where within this part, and what is wrong."""
        needed = {field.name for field in msgspec.structs.fields(KINDS[self.kind])}
        given = self._given().keys()
        for name in sorted(needed - given):
            yield (), f"{self.kind} arrivals need {_key(name)!r}"
        for name in sorted(given - needed):
            takes = ", ".join(map(_key, sorted(needed))) or "nothing else"
            yield (_key(name),), f"{self.kind} arrivals do not take it; they take {takes}"
        if needed != given:
            return
        try:
            arrivals = checked(self.build(), rate_per_s)
            if isinstance(arrivals, Replay):
                extent_of(read_day(arrivals.folder))
        except ArrivalsError as error:
            name, _, message = str(error).partition(": ")
            yield (_key(name),), message
        except RecordingError as error:
            yield ("recording",), str(error)

    def _given(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind"}, exclude_none=True)


class LoadPart(Part):
    """Open loop: ``rate_per_s`` operations are started each second, whether or not earlier ones were answered."""

    profile: str = Field(json_schema_extra={"enum": [*sorted(PROFILES)]})
    """What is offered: loadtests/README.md describes each."""
    rate_per_s: float = Field(gt=0, le=100_000)
    """Operations a second, orders and all others."""
    arrivals: ArrivalsPart | None = None
    """When operations start; the profile's unless given."""
    workers: int | None = Field(default=None, ge=1, le=16)
    """Processes that share the load under a master."""
    on_worker_loss: Literal["invalid", "degraded"] = "invalid"
    """What a run is that lost one."""

    def problems(self) -> Iterator[Problem]:
        """Where within this part, and what is wrong."""
        if self.profile not in PROFILES:
            yield ("profile",), f"no load profile {self.profile!r}; there are {', '.join(sorted(PROFILES))}"
        if self.arrivals is not None:
            for location, message in self.arrivals.problems(self.rate_per_s):
                yield ("arrivals", *location), message

    @property
    def offered(self) -> Arrivals:
        return self.arrivals.build() if self.arrivals else PROFILES[self.profile].arrivals


def _key(name: str) -> str:
    """A field's name as the file has it."""
    return _KEYS.get(name, name)


_KEYS: Final = {name: field.alias for name, field in ArrivalsPart.model_fields.items() if field.alias}
