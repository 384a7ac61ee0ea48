"""/admin/v1: what officers do, one module a matter. Every call leaves a row in the audit before it does anything."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from trading.api.admin import accounts, audit, instruments, keys, kill_switches, payments, people, topology

ROUTERS: Final[tuple[APIRouter, ...]] = (
    *(accounts.routes, payments.routes, kill_switches.routes, keys.routes),
    *(people.routes, instruments.routes, audit.routes, topology.routes),
)
