"""Orders that hardly live: nearly as many cancels and replacements as orders, soon after they were placed.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/cancel_storm.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who changes its mind about its open orders all the time."""


serve_profile("cancel_storm", Trader)
