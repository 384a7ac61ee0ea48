"""A quiet market looked at by many: nineteen reads for an order (account, positions, open orders, one order).

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/read_mostly.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who mostly watches its account."""


serve_profile("read_mostly", Trader)
