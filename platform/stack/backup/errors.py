"""What can go wrong with a backup, each told in one line that names the file."""

from __future__ import annotations

from stack.errors import StackError


class BackupError(StackError):
    """A backup, an archive or a restore is not what it must be; nothing was overwritten."""


class DamagedError(BackupError):
    """A stored file is not as it was written."""


class WrongKeyError(BackupError):
    """A stored file is sealed with another key, or there is no usable key at all."""


class ConflictError(BackupError):
    """A file is in the archive already, with other bytes."""


class MissingError(BackupError):
    """A file that is needed is neither in the archive nor with the receiver."""


class TargetError(BackupError):
    """There is no such moment, position or point in the archive."""
