"""A trading day's flow, open loop: limit and market orders, cancels and reads of many accounts at a steady rate.

Works bare, web UI included, against the stack that is running (or the one in ``--elson-status``)::

    locust -f loadtests/profiles/trading_day.py --host http://127.0.0.1:PORT

However many users Locust is asked for, they share the accounts and the one schedule between them.
"""

from __future__ import annotations

from typing import Any

import locust
from locust.env import Environment

from loadtests.generator import Generator, add_arguments
from loadtests.schedule import Mix
from loadtests.traders import TraderUser

MIX = Mix(passive=0.55, marketable=0.15, market=0.05, cancel=0.20, read=0.05)


class Trader(TraderUser):
    """An account's trader, who does not wait for one answer before the next order."""


def start_generator(environment: Environment, **_: Any) -> None:
    Generator(environment, Trader, MIX)


hooks: Any = locust.events
hooks.init_command_line_parser.add_listener(add_arguments)
hooks.init.add_listener(start_generator)
