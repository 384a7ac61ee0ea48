"""What the parts of a scenario file have in common: unknown keys are refused, durations have units."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from chaos.durations import parse_duration_s


class Part(BaseModel):
    """A field's docstring is its description in the schema for editors (scenarios.schema)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def duration_s(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration: write it with its unit, as in 5 s or 150 ms")
    return parse_duration_s(value)


# As files have it: the model's own type is what it becomes.
DURATION_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|min|h)\s*$",
    "examples": ["150 ms", "5 s"],
}
Duration = Annotated[float, BeforeValidator(duration_s), WithJsonSchema(DURATION_SCHEMA)]
