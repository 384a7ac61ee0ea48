"""Public ids and decimals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.orders import OrderId
from trading.wire.orders import decimal_text, order_id_of, order_uuid, rfc3339


@given(st.integers(min_value=1, max_value=2**48 - 1))
def test_an_order_id_survives_its_public_form(number: int) -> None:
    assert order_id_of(order_uuid(OrderId(number))) == number


@pytest.mark.parametrize("text", ["", "42", "7ed974fe-a0cf-5cd9-af3d-47043d6a9520", "not-a-uuid"])
def test_a_foreign_id_is_no_order_id(text: str) -> None:
    assert order_id_of(text) is None


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (101_500_000, "101.50"), (5, "0.000005"), (-1_000_000, "-1.00"), (1_230_000, "1.23")],
)
def test_micro_dollars_become_decimals(micros: int, text: str) -> None:
    assert decimal_text(micros) == text


def test_times_keep_their_nanoseconds() -> None:
    assert rfc3339(1_700_000_000_000_000_007) == "2023-11-14T22:13:20.000000007Z"
