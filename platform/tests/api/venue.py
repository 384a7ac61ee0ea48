"""A market of one test's own, in which nobody else's orders rest, and a maker to trade with."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.admin.office import Office, Trader
from tests.client import limit_order

_numbers = count(1)


class Venue:
    """Use ``opened``. Prices may be anywhere; fractions are traded, and shares may be sold short."""

    def __init__(self, office: Office, symbol: str, maker: Trader) -> None:
        self.office, self.symbol, self.maker = office, symbol, maker

    @classmethod
    async def opened(cls, office: Office, **terms: Any) -> Venue:
        symbol = f"V{next(_numbers)}"
        listing = {"symbol": symbol, "reference_price": "10", "collar": "1", "band": "0"}
        listing |= {"shortable": True, "fractionable": True, **terms}
        assert (await office.operator("POST", "/instruments", listing))[0] == 201
        venue = cls(office, symbol, await office.trader())
        await office.deposit(venue.maker.account_id, "1000", symbol)
        await venue.phase("continuous")
        return venue

    async def phase(self, phase: str) -> None:
        body = {"phase": phase, "reason": "a test"}
        assert (await self.office.risk("PUT", f"/instruments/{self.symbol}/phase", body))[0] == 200

    async def order(self, who: Trader, side: str, qty: int | str, price: str, **more: Any) -> dict[str, Any]:
        order = limit_order(side, 1, price, symbol=self.symbol, **more) | {"qty": str(qty)}
        status, placed = await who.ask("POST", "/v2/orders", order)
        assert status == 200, placed
        found: dict[str, Any] = placed
        return found

    async def trade(self, who: Trader, side: str, qty: int | str, price: str) -> None:
        """The maker offers it first."""
        await self.order(self.maker, "sell" if side == "buy" else "buy", qty, price)
        placed = await self.order(who, side, qty, price)
        assert placed["status"] == "filled"
