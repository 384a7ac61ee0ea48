"""Subscribers that all drop their connection at the same moment, every five seconds, and come back at once.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/reconnect_storm.py --users 40

So many users are subscribers, the others are traders; the log ends with how well the feed served.
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser
from loadtests.watchers import WatcherUser


class Trader(TraderUser):
    """Who goes on trading meanwhile."""


class Watcher(WatcherUser):
    """Who comes back with all the others."""


serve_profile("reconnect_storm", Trader, Watcher)
