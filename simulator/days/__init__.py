"""Synthetic market days under virtual time: traders, latency and sessions against the platform's own core."""
