"""Feed subscribers as Locust users: each holds a WebSocket, or drops it with all others and comes back."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, ClassVar

import gevent
import msgspec
from locust import User, task
from locust.env import Environment
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from loadtests.flows import Watching
from loadtests.shares import Share
from loadtests.slow_reader import Slowness, read_slowly
from loadtests.target import Target
from loadtests.watching import Watch, messages, quality

FEED_QUALITY = "feed_quality"
_SILENCE_LIMIT_S = 5.0
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Gallery:
    """Everything the subscribers of one test share; ``began`` is a monotonic time, ``share`` the worker's."""

    target: Target
    watching: Watching
    environment: Environment
    record: Path | None = None
    share: Share = field(default_factory=Share)
    began: float = field(default_factory=monotonic)
    watches: list[Watch] = field(default_factory=list)

    def join(self) -> Watch:
        """The next subscriber's."""
        every = self.watching.slow_every
        watch = Watch(slow=bool(every) and len(self.watches) % every == 0)
        self.watches.append(watch)
        return watch

    def until_next_wave_s(self) -> float:
        """All drop their connections at the same moments."""
        every_s = self.watching.reconnect_every_s
        return every_s - (monotonic() - self.began) % every_s if every_s else 1e9

    def write(self) -> None:
        """Into the log, and into the record where there is one, a file a worker. Raises OSError."""
        found = quality(self.watches)
        if self.record is not None:
            number = f"-{self.share.index + 1}" if self.share.workers > 1 else ""
            path = self.record / f"{FEED_QUALITY}{number}.json"
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(found))
            partial.replace(path)
        logging.getLogger(__name__).info("feed quality %s", json.dumps(found))


class WatcherUser(User):
    """Follows the books of all symbols, from one feed after another."""

    abstract = True
    gallery: ClassVar[Gallery]

    @task
    def watch(self) -> None:
        gallery = self.gallery
        watch = gallery.join()
        follow = self._follow_slowly if watch.slow else self._follow
        for feed in cycle(gallery.target.feeds):
            try:
                follow(gallery, watch, f"{feed.rstrip('/')}/v2/iex")
            except (OSError, WebSocketException, msgspec.MsgspecError) as error:  # TimeoutError among them
                watch.breaks += 1
                _told(gallery.environment, 0.0, error)
                gevent.sleep(_PAUSE_S)

    def _follow(self, gallery: Gallery, watch: Watch, url: str) -> None:
        """Up to the next wave."""
        wished_ns, ends = time_ns(), monotonic() + gallery.until_next_wave_s()
        with connect(url, max_size=None, open_timeout=_SILENCE_LIMIT_S, close_timeout=1.0, compression=None) as feed:
            for request in _requests(gallery.target, watch):
                feed.send(request)
            waiting = True
            while monotonic() < ends:
                for message in messages(feed.recv(timeout=_SILENCE_LIMIT_S)):
                    now_ns = time_ns()
                    if message.T == "error":
                        raise ConnectionError("the feed refused the subscription")
                    if waiting and message.T == "o":
                        waiting = False
                        watch.waits_ms.append((now_ns - wished_ns) / 1e6)
                        _told(gallery.environment, watch.waits_ms[-1], None)
                    watch.take(message, now_ns)

    def _follow_slowly(self, gallery: Gallery, watch: Watch, url: str) -> None:
        """Until the feed lets go of it, which raises ConnectionError."""

        def take(frame: bytes) -> None:
            now_ns = time_ns()
            for message in messages(frame):
                watch.take(message, now_ns)

        read_slowly(url, _requests(gallery.target, watch), take, Slowness())


def _requests(target: Target, watch: Watch) -> list[str]:
    """Who was there before asks for what it missed, as a client should; a slow one wants everything anew."""
    account, symbols = target.accounts[0], list(target.instruments)
    request: dict[str, Any] = {"action": "subscribe", "orderbooks": symbols}
    if watch.slow:
        request |= {"trades": symbols, "quotes": symbols}
    elif watch.last:
        request["resume_from"] = watch.last
    return [json.dumps({"action": "auth", "key": account.key_id, "secret": account.secret_key}), json.dumps(request)]


def _told(environment: Environment, wait_ms: float, error: Exception | None) -> None:
    """In Locust's own table: a subscription, from the wish to the first book."""
    hooks: Any = environment.events
    hooks.request.fire(
        request_type="WS", name="subscribe", response_time=wait_ms, response_length=0, exception=error, context={}
    )
