"""Nothing but new orders: most of them rest, a quarter trades at once. What the engine and its journal can take.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/order_storm.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who never waits for an answer, and never takes an order back."""


serve_profile("order_storm", Trader)
