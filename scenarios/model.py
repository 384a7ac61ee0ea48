"""A scenario: a whole run described as data. The catalogue's YAML files are instances of this model."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from chaos.conductor import LONGEST_S
from chaos.durations import FOR_GOOD
from chaos.fault import FaultError
from chaos.faults import KINDS, make_fault
from reports.objectives import EVERY_FAULT, NAMES, OF_A_FAULT, ObjectiveError, parse_objective
from scenarios.load_model import LoadPart
from scenarios.parts import DURATION_SCHEMA, Duration, Part, duration_s
from scenarios.series_model import SearchPart, Variants
from stack.topology import Account, Instrument, Topology, UnknownSelectorError, matching_links, platform_topology
from trading.core.orders import (
    MAX_AMOUNT,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    NS_PER_S,
    PPM,
)

Path = tuple[str | int, ...]


def _duration_or_good(value: Any) -> float | None:
    return None if value == FOR_GOOD else duration_s(value)


_DURATION_OR_GOOD: Final = {"anyOf": [DURATION_SCHEMA, {"const": FOR_GOOD}]}


def _micros(value: Any) -> int:
    """Money as a quoted decimal: a float would already have lost digits when we see it."""
    if not isinstance(value, str):
        raise ValueError(f'{value!r} must be quoted, as in "100.50"')
    try:
        dollars = Decimal(value)
    except InvalidOperation:
        raise ValueError(f'{value!r} is no amount of dollars, as in "100.50"') from None
    most = MAX_AMOUNT // MICROS_PER_DOLLAR
    micros = dollars * MICROS_PER_DOLLAR if dollars.is_finite() and 0 < dollars <= most else Decimal(0)
    if not micros or micros != int(micros):
        raise ValueError(f"{value!r}: expected more than 0 and at most {most:,} dollars, with at most six decimals")
    return int(micros)


def _ppm(value: Any) -> int:
    """A percentage with its sign, of which a ten-thousandth is the least part."""
    number = value.strip().removesuffix("%") if isinstance(value, str) and value.strip().endswith("%") else ""
    try:
        ppm = Decimal(number) * PPM / 100
    except InvalidOperation:
        raise ValueError(f"{value!r} is no percentage: write it with its sign, as in 10 %") from None
    if not ppm.is_finite() or not 0 <= ppm <= PPM or ppm != int(ppm):
        raise ValueError(f"{value!r}: expected 0 % to 100 %, with at most four decimals")
    return int(ppm)


_MICROS_SCHEMA: Final = {"type": "string", "pattern": r"^\d+(\.\d{1,6})?$", "examples": ["100.50"]}
_PPM_SCHEMA: Final = {"type": "string", "pattern": r"^\s*\d+(\.\d{1,4})?\s*%\s*$", "examples": ["15 %"]}

Micros = Annotated[int, BeforeValidator(_micros), WithJsonSchema(_MICROS_SCHEMA)]
Ppm = Annotated[int, BeforeValidator(_ppm), WithJsonSchema(_PPM_SCHEMA)]


class InstrumentPart(Part):
    """What is listed. Terms that are not given have the seeding's defaults."""

    symbol: str = Field(pattern=r"^[A-Z][A-Z.]{0,5}$")
    tick_micros: Micros = Field(alias="tick")
    """Dollars, quoted: the least step of a price."""
    sub_dollar_tick_micros: Micros | None = Field(default=None, alias="sub_dollar_tick")
    """Dollars, quoted: the tick below a dollar."""
    reference_price_micros: Micros = Field(alias="reference_price", le=MAX_PRICE_MICROS)
    """Dollars, quoted: where trading begins."""
    lot: int | None = Field(default=None, ge=1, le=MAX_QUANTITY // MICROS_PER_SHARE)
    """Shares."""
    collar_ppm: Ppm | None = Field(default=None, alias="collar", ge=1)
    """How far beyond the market an order may reach."""
    band_ppm: Ppm | None = Field(default=None, alias="band")
    """How far trading may go before it halts; 0 %: anywhere."""
    halt_s: Duration | None = Field(default=None, alias="halt", ge=0, le=24 * 3600)
    """How long a halt lasts."""
    shortable: bool | None = None
    fractionable: bool | None = None

    @model_validator(mode="after")
    def _on_the_grid(self) -> InstrumentPart:
        if MICROS_PER_DOLLAR % self.tick_micros:
            raise ValueError("tick must divide a dollar")
        tick_micros = self.tick_micros
        if self.sub_dollar_tick_micros is not None:
            if self.tick_micros % self.sub_dollar_tick_micros:
                raise ValueError("sub_dollar_tick must divide tick")
            if self.reference_price_micros < MICROS_PER_DOLLAR:
                tick_micros = self.sub_dollar_tick_micros
        if self.reference_price_micros % tick_micros:
            raise ValueError("reference_price must be a multiple of tick")
        return self

    @property
    def instrument(self) -> Instrument:
        return Instrument(
            symbol=self.symbol,
            tick_micros=self.tick_micros,
            reference_price_micros=self.reference_price_micros,
            sub_dollar_tick_micros=self.sub_dollar_tick_micros,
            lot=None if self.lot is None else self.lot * MICROS_PER_SHARE,
            collar_ppm=self.collar_ppm,
            band_ppm=self.band_ppm,
            halt_ns=None if self.halt_s is None else round(self.halt_s * NS_PER_S),
            shortable=self.shortable,
            fractionable=self.fractionable,
        )


class AccountsPart(Part):
    """The load's accounts, all alike; the market's traders bring their own."""

    count: int = Field(ge=1, le=1000)
    cash_micros: Micros = Field(alias="cash")
    """Dollars, quoted."""
    shares: int = Field(ge=0, le=1_000_000_000)
    """Of every instrument."""
    margin: bool = False
    """Margin accounts may borrow as much again as they have, and sell short."""


class TopologyPart(Part):
    """What stands, and what is listed there."""

    instruments: list[InstrumentPart] = Field(min_length=1)
    accounts: AccountsPart
    engines: int = Field(default=2, ge=1, le=4)
    """One is active, the others are warm standbys."""
    apis: int = Field(default=2, ge=1, le=8)
    proxied: list[str] = Field(default_factory=list)
    """Links that carry a proxy, as engine->postgres; every other link is direct."""
    small_disk: Literal["postgres:1", "postgres:2"] | None = None
    """The server of the database whose data have a disk of their own, which a disk_full fills. Takes root."""

    @field_validator("instruments")
    @classmethod
    def _symbols_differ(cls, instruments: list[InstrumentPart]) -> list[InstrumentPart]:
        symbols = [instrument.symbol for instrument in instruments]
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"each symbol once, got {', '.join(symbols)}")
        return instruments

    def build(self, accounts: tuple[Account, ...] = (), *, load_workers: int | None = None) -> Topology:
        """Raises UnknownSelectorError for a ``proxied`` selector that matches no link."""
        return platform_topology(
            instruments=[part.instrument for part in self.instruments],
            accounts=accounts,
            proxied=self.proxied,
            engines=self.engines,
            apis=self.apis,
            load_workers=load_workers or 0,
            small_disk=self.small_disk,
        )


class PhasesPart(Part):
    """How long each lasts, from 1 s to 24 h."""

    warm_up_s: Duration = Field(alias="warm_up")
    """Under the same load; counts for every check, not for latencies, rates and errors."""
    measure_s: Duration = Field(alias="measure")
    """Faults are within it."""
    drain_s: Duration = Field(default=20.0, alias="drain")
    """At most, until every answer is in and the feed has caught up."""

    @field_validator("warm_up_s", "measure_s", "drain_s")
    @classmethod
    def _takes_time(cls, seconds: float) -> float:
        if not 1 <= seconds <= 24 * 3600:
            raise ValueError(f"{seconds:g} s: expected 1 s to 24 h")
        return seconds


class FaultPart(Part):
    """What is broken, where, when and for how long."""

    at_s: Duration = Field(alias="at")
    """From the start of the measured phase on."""
    spread_s: Duration = Field(default=0.0, alias="spread")
    """By up to so much its moment moves, drawn from the seed."""
    kind: str = Field(json_schema_extra={"enum": list(KINDS)})
    target: str
    """A node (engine:1), a role (engine:active, postgres:primary) or a link (engine->postgres)."""
    value: str | None = None
    """As 150 ms for latency, refuse or stall for cut."""
    for_s: Annotated[float | None, BeforeValidator(_duration_or_good), WithJsonSchema(_DURATION_OR_GOOD)] = Field(
        alias="for"
    )
    """Until it is undone; good: never, of those that can last."""

    def fault_id(self, number: int) -> str:
        """``number`` counts the scenario's faults from one, in the file's order."""
        return f"{number}-{self.kind}"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(KINDS)}")
        return kind


class ObjectivePart(Part):
    """What the run must reach to pass (reports.objectives says what can be asked for)."""

    objective: str = Field(json_schema_extra={"enum": list(NAMES)})
    max: float | str | None = None
    """The most that meets it; with a baseline a change, as +10 %."""
    min: float | str | None = None
    """Of the goodput: the least that meets it."""
    scope: str | None = None
    """outside_faults, inside_faults or all; of outage_ms and redundancy_s a fault's id, kind or target, or all."""
    operation: str | None = None
    """Of a latency: place (unless given), replace, cancel, read, ..."""
    success_bar: float | None = None
    """Of outage_ms: the share of orders that must succeed for the platform to count as up."""
    baseline: str | None = None
    """A run or a folder of repeats (by its name, its path, or latest), or one of the variants."""


class Scenario(Part):
    """A whole run as data: what stands, what it must bear, and what it must reach to pass."""

    title: str
    proves: str = ""
    """What a PASS shows, in one line."""
    seed: int = Field(ge=0, lt=2**63)
    """Market, load and the moments of faults are drawn from it."""
    repeats: int = Field(default=1, ge=1, le=100)
    """Runs judged together; each draws from the next seed."""
    topology: TopologyPart
    market: bool = True
    """Whether simulated traders keep a two-sided market beside the load."""
    load: LoadPart
    phases: PhasesPart
    variants: Variants = Field(default_factory=dict)
    """Of this scenario, run in one go and judged side by side: for each name values by path, as topology.apis."""
    search: SearchPart | None = None
    """For the highest value of a setting that keeps the objectives."""
    faults: list[FaultPart] = Field(default_factory=list)
    objectives: list[ObjectivePart] = Field(default_factory=list)


def problems(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """What the model's types cannot say: targets that do not exist, faults that do not fit, unknown objectives."""
    yield from _objective_problems(scenario)
    if len(scenario.variants) == 1:
        yield ("variants",), "one variant alone is compared with nothing: give two or more, or none"
    for location, message in scenario.load.problems():
        yield ("load", *location), message
    links = scenario.topology.model_copy(update={"proxied": []}).build().links
    selectors_good = True
    for index, selector in enumerate(scenario.topology.proxied):
        try:
            matching_links(links, selector)
        except UnknownSelectorError as error:
            selectors_good = False
            yield ("topology", "proxied", index), str(error)
    if selectors_good:
        topology = scenario.topology.build(load_workers=scenario.load.workers)
        for index, fault in enumerate(scenario.faults):
            for key, message in _fault_problems(fault, scenario.phases, topology):
                yield ("faults", index, key), message


def _objective_problems(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    for index, part in enumerate(scenario.objectives):
        try:
            parse_objective(part.model_dump())
        except ObjectiveError as error:
            yield ("objectives", index, error.key), str(error)
            continue
        known = _fault_scopes(scenario)
        if part.objective in OF_A_FAULT and part.scope is not None and part.scope not in known:
            yield ("objectives", index, "scope"), f"no fault is planned as {part.scope!r}; there are {', '.join(known)}"


def _fault_scopes(scenario: Scenario) -> list[str]:
    """What an outage or the redundancy can be asked of: every fault, or one by its id, kind or target."""
    names = [EVERY_FAULT]
    for number, fault in enumerate(scenario.faults, start=1):
        names += [fault.fault_id(number), fault.kind, fault.target]
    return list(dict.fromkeys(names))


def _fault_problems(part: FaultPart, phases: PhasesPart, topology: Topology) -> Iterator[tuple[str, str]]:
    try:
        fault = make_fault(part.kind, part.target, part.value)
    except FaultError as error:
        yield "value", str(error)
        return
    if part.for_s is None and not fault.lasting:
        yield "for", f"{part.kind} cannot be for good: give it a duration"
    if part.for_s is not None and not 0 < part.for_s <= LONGEST_S:
        yield "for", f"a fault lasts longer than 0 s and at most {LONGEST_S:g} s"
    if part.spread_s > part.at_s:
        yield "spread", f"{part.spread_s:g} s would let it start before the measured phase"
    if part.at_s + part.spread_s + (part.for_s or 0.0) > phases.measure_s:
        yield "at", f"it would last beyond the measured phase of {phases.measure_s:g} s"
    try:
        fault.check(topology)
    except FaultError as error:
        yield "target", str(error)
