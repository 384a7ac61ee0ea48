"""What can go wrong with a stack, each told in one line."""

from __future__ import annotations


class StackError(Exception):
    """Something about a stack that its user can act on; the message is complete."""


class MissingBinaryError(StackError):
    """A server program is not on this machine; the message says why it is needed and what gets it."""


class StartError(StackError):
    """A node did not become ready; the message names it and ends with the tail of its log."""


class NoSuchStackError(StackError):
    """No running stack matches, or several do and none was named."""


class UnresolvedError(StackError):
    """A selector such as ``engine:active`` matches no node at this moment."""


class ControlError(StackError):
    """The owner of a stack did not answer, or refused an operation."""
