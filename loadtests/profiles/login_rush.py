"""People logging in with name and password while a few trade: each log-in costs the api a password hash.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/login_rush.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who logs in, once more, and has an order in between."""


serve_profile("login_rush", Trader)
