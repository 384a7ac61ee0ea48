"""What may go wrong inside the core. None of these is an answer to a command: refusals are values."""

from __future__ import annotations


class InvariantError(Exception):
    """The exchange contradicts itself: stop the process and replay the journal."""


class ReplayError(Exception):
    """A journaled command did not produce the journaled events: this build or this journal is not the one that ran."""
