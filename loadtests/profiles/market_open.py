"""The rush of the first minutes: bursts that bring bursts, and far more orders that trade at once.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/market_open.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who has waited for the opening, and looks at what it got."""


serve_profile("market_open", Trader)
