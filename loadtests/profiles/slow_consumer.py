"""Some subscribers read far too slowly: what becomes of them, and of the quick ones beside them.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/slow_consumer.py --users 40

So many users are subscribers, the others are traders; the log ends with how well the feed served.
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser
from loadtests.watchers import WatcherUser


class Trader(TraderUser):
    """Who makes the news."""


class Watcher(WatcherUser):
    """Who follows it, or lags behind."""


serve_profile("slow_consumer", Trader, Watcher)
