from __future__ import annotations

import pytest

from .floor import Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()
