"""What the parts of a scenario file have in common: unknown keys are refused, durations have units."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from chaos.durations import parse_duration_s


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def duration_s(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration: write it with its unit, as in 5 s or 150 ms")
    return parse_duration_s(value)


Duration = Annotated[float, BeforeValidator(duration_s)]
