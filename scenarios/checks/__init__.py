"""Checks: pure functions from a record to a result."""
