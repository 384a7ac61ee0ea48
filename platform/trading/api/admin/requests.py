"""What bodies and paths of /admin/v1 are made of. Amounts are decimals in strings, and nothing unknown is taken."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from trading.core.events import CASH
from trading.core.orders import MICROS_PER_DOLLAR, AccountId

_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_SYMBOL: Final = r"^[A-Z][A-Z0-9.]*$"
_MAX_ID: Final = 2**63 - 1


def _micros(value: object) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError('expected a decimal in a string, of at most six places, as in "101.50"')
    return int(Decimal(value) * MICROS_PER_DOLLAR)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable characters")
    return text


# Millionths of a dollar, a share or whatever is meant; on the wire a decimal.
Micros = Annotated[int, BeforeValidator(_micros, json_schema_input_type=str)]
Positive = Annotated[Micros, Field(gt=0)]
Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
SymbolText = Annotated[str, Field(min_length=1, max_length=16, pattern=_SYMBOL)]
Asset = Annotated[str, Field(min_length=1, max_length=16, pattern=_SYMBOL, description=f"{CASH} or a symbol")]
# Known for ever: a payment that is asked for again under it is not paid again.
Reference = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$")]
Id = Annotated[int, Field(ge=1, le=_MAX_ID)]
AccountPath = Annotated[AccountId, Path(ge=1, le=_MAX_ID)]
SymbolPath = Annotated[str, Path(min_length=1, max_length=16, pattern=_SYMBOL)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
