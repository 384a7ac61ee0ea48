"""Faults, each with its undoing and its evidence, and the conductor that always restores."""
