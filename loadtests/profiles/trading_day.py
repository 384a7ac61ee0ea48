"""A trading day's flow, open loop: limit and market orders, cancels and reads of many accounts at a steady rate.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/trading_day.py --host http://127.0.0.1:PORT

However many users Locust is asked for, they share the accounts and the one schedule between them.
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """An account's trader, who does not wait for one answer before the next order."""


serve_profile("trading_day", Trader)
