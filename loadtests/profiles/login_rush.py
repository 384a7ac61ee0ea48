"""People logging in with name and password, and nothing else: each costs the api a password hash.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/login_rush.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who logs in, and once more."""


serve_profile("login_rush", Trader)
