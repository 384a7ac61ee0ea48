"""Instruments, accounts, fees, kill switches, and what comes in, goes out or changes hands without a trade."""

from __future__ import annotations

from typing import Final

from trading.core import funds
from trading.core.commands import (
    EVERYBODY,
    ChangeAccount,
    ChangeInstrument,
    Deposit,
    ListInstrument,
    OpenAccount,
    SetFees,
    SetKillSwitch,
    Transfer,
    Withdraw,
)
from trading.core.events import (
    CASH,
    AccountChanged,
    AccountOpened,
    FeesSet,
    InstrumentChanged,
    InstrumentListed,
    KillSwitchSet,
    Refused,
)
from trading.core.instruments import check_instrument, shown
from trading.core.ledger import AVAILABLE, MAX_ISSUED, Balance, posted
from trading.core.orders import MAX_AMOUNT, AccountTerms, RejectReason
from trading.core.placing import unknown_account
from trading.core.venue import Account, Market, Venue

_MAX_ACCOUNT_ID: Final = 2**63 - 1
_MAX_LIMIT: Final = 10**18
_MAX_RATE_PPB: Final = 10**8
_MAX_CHARGE: Final = 10**9


def list_instrument(venue: Venue, command: ListInstrument) -> Refused | None:
    instrument = command.instrument
    if refusal := check_instrument(instrument):
        return refusal
    if instrument.symbol in venue.markets:
        return Refused(RejectReason.ALREADY_EXISTS, f"{instrument.symbol} is listed")
    venue.markets[instrument.symbol] = Market(instrument)
    venue.events.append(InstrumentListed(instrument))
    return None


def change_instrument(venue: Venue, command: ChangeInstrument) -> Refused | None:
    instrument = command.instrument
    market = venue.markets.get(instrument.symbol)
    if market is None:
        return funds.unknown_symbol(instrument.symbol)
    if refusal := check_instrument(instrument):
        return refusal
    if instrument[:5] != market.instrument[:5]:
        message = f"ticks, lot and reference price of {instrument.symbol} stay as they were listed"
        return Refused(RejectReason.INVALID_SETTING, message)
    if instrument == market.instrument:
        return _nothing_to_change(instrument.symbol)
    market.agree_on(instrument)
    venue.events.append(InstrumentChanged(instrument))
    return None


def open_account(venue: Venue, command: OpenAccount) -> Refused | None:
    account_id = command.account_id
    if not 0 < account_id <= _MAX_ACCOUNT_ID:
        message = f"account id {shown(account_id)} is not within 1..{_MAX_ACCOUNT_ID}"
        return Refused(RejectReason.UNKNOWN_ACCOUNT, message)
    if refusal := _check_terms(command.terms):
        return refusal
    if account_id in venue.accounts:
        return Refused(RejectReason.ALREADY_EXISTS, f"account {account_id} is open")
    venue.accounts[account_id] = Account(account_id, command.terms)
    venue.events.append(AccountOpened(account_id, command.terms))
    return None


def change_account(venue: Venue, command: ChangeAccount) -> Refused | None:
    account = venue.accounts.get(command.account_id)
    if account is None:
        return unknown_account(command.account_id)
    if refusal := _check_terms(command.terms):
        return refusal
    owed = [asset for asset, balance in account.balances.items() if balance.available < 0]
    if owed and command.terms.multiplier == 1:
        message = f"account {account.account_id} owes {', '.join(sorted(owed))}: it cannot become a cash account"
        return Refused(RejectReason.INVALID_SETTING, message)
    if command.terms == account.terms:
        return _nothing_to_change(f"account {account.account_id}")
    account.agree_on(command.terms, killed=account.killed)
    venue.events.append(AccountChanged(account.account_id, command.terms))
    return None


def set_kill_switch(venue: Venue, command: SetKillSwitch) -> Refused | None:
    account = venue.accounts.get(command.account_id)
    if account is None and command.account_id != EVERYBODY:
        return unknown_account(command.account_id)
    if command.engaged == (venue.killed if account is None else account.killed):
        return _nothing_to_change(f"the kill switch of account {command.account_id}")
    if account is None:
        venue.killed = command.engaged
    else:
        account.agree_on(account.terms, killed=command.engaged)
    venue.events.append(KillSwitchSet(command.account_id, command.engaged))
    return None


def set_fees(venue: Venue, command: SetFees) -> Refused | None:
    fees = command.fees
    valid = (
        0 <= fees.taker_ppb <= _MAX_RATE_PPB
        and abs(fees.maker_ppb) <= fees.taker_ppb
        and 0 <= fees.regulatory_ppb <= _MAX_RATE_PPB
        and 0 <= fees.regulatory_nanos_per_share <= _MAX_CHARGE
        and 0 <= fees.regulatory_cap_micros <= _MAX_CHARGE
    )
    if not valid:
        given = ", ".join(f"{name} {shown(rate)}" for name, rate in fees._asdict().items())
        return Refused(RejectReason.INVALID_SETTING, f"no fee schedule can have {given}")
    if fees == venue.fees:
        return _nothing_to_change("the fee schedule")
    if any(account.orders for account in venue.accounts.values()):
        return Refused(RejectReason.WRONG_PHASE, "fees change only while no order is open")
    venue.set_fees(fees)
    venue.events.append(FeesSet(fees))
    return None


def deposit(venue: Venue, command: Deposit) -> Refused | None:
    account = venue.accounts.get(command.account_id)
    if account is None:
        return unknown_account(command.account_id)
    if refusal := _check_amount(venue, command):
        return refusal
    asset, amount = command.asset, command.amount
    issued = venue.ledger.issued.get(asset, 0)
    if issued + amount > MAX_ISSUED:
        message = f"{amount} more {asset} on top of {issued} would exceed {MAX_ISSUED}"
        return Refused(RejectReason.INVALID_AMOUNT, message)
    balance = account.holding(asset)
    _add_cost(balance, asset, amount)
    venue.events.append(venue.ledger.bring_in(account.account_id, balance, asset, amount))
    return None


def withdraw(venue: Venue, command: Withdraw) -> Refused | None:
    account = venue.accounts.get(command.account_id)
    if account is None:
        return unknown_account(command.account_id)
    asset, amount = command.asset, command.amount
    refusal = _check_amount(venue, command) or funds.check_leaving(venue, account, asset, amount)
    if refusal:
        return refusal
    balance = account.holding(asset)
    _take_cost(balance, asset, amount)
    venue.events.append(venue.ledger.take_out(account.account_id, balance, asset, amount))
    return None


def transfer(venue: Venue, command: Transfer) -> Refused | None:
    account, payee = venue.accounts.get(command.account_id), venue.accounts.get(command.to_account_id)
    if account is None:
        return unknown_account(command.account_id)
    if payee is None or payee is account:
        return unknown_account(command.to_account_id)
    asset, amount = command.asset, command.amount
    refusal = _check_amount(venue, command) or funds.check_leaving(venue, account, asset, amount)
    if refusal:
        return refusal
    balance = account.holding(asset)
    _take_cost(balance, asset, amount)
    received = payee.holding(asset)
    _add_cost(received, asset, amount)
    balance.available -= amount
    received.available += amount
    venue.events.append(posted((account.account_id, AVAILABLE, payee.account_id, AVAILABLE, asset, amount)))
    return None


def _take_cost(balance: Balance, asset: str, amount: int) -> None:
    """Shares that leave take their part of the position's cost with them."""
    total = balance.available + balance.reserved
    if asset != CASH and total > 0:
        balance.cost -= balance.cost * amount // total


def _add_cost(balance: Balance, asset: str, amount: int) -> None:
    """Shares that come in were had for nothing: those a short position lacked close their part of it."""
    if asset != CASH:
        balance.bought(amount, 0)


def _check_amount(venue: Venue, command: Deposit | Withdraw | Transfer) -> Refused | None:
    if command.asset != CASH and command.asset not in venue.markets:
        return funds.unknown_symbol(command.asset)
    if not 0 < command.amount <= MAX_AMOUNT:
        return Refused(RejectReason.INVALID_AMOUNT, f"amount {shown(command.amount)} is not within 1..{MAX_AMOUNT}")
    return None


def _check_terms(terms: AccountTerms) -> Refused | None:
    if terms.multiplier not in (1, 2):
        message = f"the multiplier is 1 (cash) or 2 (margin), not {shown(terms.multiplier)}"
        return Refused(RejectReason.INVALID_SETTING, message)
    for name, limit in terms.limits._asdict().items():
        if limit is not None and not 0 <= limit <= _MAX_LIMIT:
            return Refused(RejectReason.INVALID_SETTING, f"limit {name} {shown(limit)} is not within 0..{_MAX_LIMIT}")
    return None


def _nothing_to_change(what: str) -> Refused:
    return Refused(RejectReason.NOTHING_TO_CHANGE, f"{what} is so already")
