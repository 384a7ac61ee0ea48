"""Subscribers that read too slowly among others who keep up: the feed must let go of them, and of nobody else.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/slow_consumer.py --users 40

So many users are subscribers, the others are traders; the log ends with how well the feed served, and what it did
about the slow ones.
"""

from __future__ import annotations

from loadtests.generator import serve_profile
from loadtests.traders import TraderUser
from loadtests.watchers import WatcherUser


class Trader(TraderUser):
    """Who makes more news than a slow reader can take."""


class Watcher(WatcherUser):
    """Who follows it, every third one too slowly."""


serve_profile("slow_consumer", Trader, Watcher)
