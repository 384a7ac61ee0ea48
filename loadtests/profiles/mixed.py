"""A bit of everything a trader does: orders, cancels, replacements, and every kind of read.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/mixed.py --host http://127.0.0.1:PORT
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser


class Trader(TraderUser):
    """Who does all of it."""


serve_profile("mixed", Trader)
