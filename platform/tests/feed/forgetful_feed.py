"""A feed broken on purpose: it leaves out book messages and order updates. Run as a program, by tests only."""

from __future__ import annotations

from typing import Final

from trading.core.orders import AccountId
from trading.feed import __main__ as program
from trading.feed import source
from trading.feed.market_view import Broadcast, MarketView
from trading.wire.journal import JournalRecord

LEFT_OUT: Final = 40  # one in so many journal records


class ForgetfulView(MarketView):
    def apply(self, record: JournalRecord, listening: frozenset[AccountId]) -> Broadcast:
        said = super().apply(record, listening)
        if record.sequence % LEFT_OUT == 0:
            said.book = None
        if record.sequence % 3 == 0:
            said.updates = []
        return said


if __name__ == "__main__":
    source.MarketView = ForgetfulView  # type: ignore[misc]
    program.main()
