"""A disk of its own, and a small one, for a server's data; it is gone with the last process that can see it."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Self

from stack.binaries import SERVER_USER
from stack.errors import StackError

SIZE_MB: Final = 512
_CLONE_NEWNS: Final = 0x00020000  # <linux/sched.h>
_CHUNK: Final = bytes(1 << 20)


def unshare_mounts() -> str | None:
    """From now on this process and its children alone see what it mounts; returns why that cannot be.

    So nothing stays mounted whichever way it ends. Call it before anything else runs: threads that already do see no
    mount that comes later.
    """
    if os.getuid() != 0:
        return "only root may mount a small disk"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return f"a small disk takes mounts of one's own: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    return done.stderr.strip() or None


class SmallDisk:
    """For the data of ``node``: what its folder held before is covered while it is mounted."""

    def __init__(self, node: str, folder: Path) -> None:
        self.node = node
        self._folder = folder
        # It has no name: whoever empties or copies the folder leaves it alone.
        self._balloon: BinaryIO | None = None

    @classmethod
    def mounted(cls, node: str, folder: Path) -> Self:
        """Call ``unshare_mounts`` before. Raises StackError."""
        owner = pwd.getpwnam(SERVER_USER)
        folder.mkdir(exist_ok=True)
        options = f"size={SIZE_MB}m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}"
        _done("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        return cls(node, folder)

    def unmount(self) -> None:
        """Also while somebody still uses it. Raises StackError."""
        self.free()
        _done("umount", "--lazy", str(self._folder))

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bfree * found.f_frsize

    def fill(self) -> None:
        """To the last byte."""
        if self._balloon is None:
            self._balloon = TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        try:
            for _ in range(SIZE_MB + 1):  # the last write is a short one; never more than that, on whatever disk
                self._balloon.write(_CHUNK)
        except OSError as error:
            if error.errno != errno.ENOSPC:  # which is what was wanted
                raise

    def free(self) -> None:
        if self._balloon is not None:
            self._balloon.close()
            self._balloon = None


def _done(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"the small disk: {done.stderr.strip() or argv[0]}")
