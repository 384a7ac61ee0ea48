"""An engine broken on purpose: it takes some orders twice and loses fills on their way into their table.

Run as a program, by tests only.
"""

from __future__ import annotations

from typing import Any, Final

from trading.core.commands import Command, PlaceOrder
from trading.core.events import Repeated, Traded
from trading.engine import __main__ as program
from trading.engine import node
from trading.engine.lanes import Former
from trading.engine.sequencer import Sequencer, _Applied
from trading.infra import journal
from trading.wire.engine import Answer, Done
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView

TAKEN_TWICE: Final = 50  # one in so many journal records, if it is of a new order
LOST: Final = 10  # one in so many trades

_fill_rows, _order_row = journal._fill_rows, journal.order_row
_twice: set[int] = set()  # orders that the table would refuse, for their client_order_id is there already


class CarelessSequencer(Sequencer):
    def _execute_once(self, command: Command, former: Former, applied: _Applied) -> Answer | Repeated:
        answer = super()._execute_once(command, former, applied)
        if isinstance(command, PlaceOrder) and isinstance(answer, Done) and answer.sequence % TAKEN_TWICE == 0:
            self._replica.exchange.venue.client_order_ids._placed.pop((command.account_id, command.client_order_id))
            again = super()._execute_once(command, former, applied)
            if isinstance(again, Done) and again.order is not None:
                _twice.add(again.order.order_id)
        return answer


def leaky_fill_rows(trade: Traded, record: JournalRecord) -> list[tuple[Any, ...]]:
    return _fill_rows(trade, record) if trade.trade_id % LOST else []


def nameless_order_row(order: OrderView) -> tuple[Any, ...]:
    row = _order_row(order)
    return (*row[:2], None, *row[3:]) if order.order_id in _twice else row


if __name__ == "__main__":
    node.Sequencer = CarelessSequencer  # type: ignore[misc]
    journal._fill_rows, journal.order_row = leaky_fill_rows, nameless_order_row
    program.main()
