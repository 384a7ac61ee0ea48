"""A disk of its own, and a small one, for a server's data; it is gone with the last process that can see it."""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
from pathlib import Path
from typing import Final

from stack.binaries import SERVER_USER

SIZE_MB: Final = 512
_CLONE_NEWNS: Final = 0x00020000  # <linux/sched.h>
_BALLOON: Final = "balloon"
_CHUNK: Final = bytes(1 << 20)


def unshare_mounts() -> str | None:
    """From now on this process and its children alone see what it mounts; returns why that cannot be.

    So nothing stays mounted whichever way it ends. Call it before anything else runs.
    """
    if os.getuid() != 0:
        return "only root may mount a small disk"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        return f"no mounts of one's own: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True)
    return done.stderr.strip() or None


class SmallDisk:
    """For the data of ``node``: ``folder`` seems empty while it is mounted. Call ``unshare_mounts`` before."""

    def __init__(self, node: str, folder: Path) -> None:
        self.node = node
        self._folder = folder

    def mount(self) -> None:
        """Raises CalledProcessError."""
        owner = pwd.getpwnam(SERVER_USER)
        options = f"size={SIZE_MB}m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder)], check=True)

    def unmount(self) -> None:
        """Also while somebody still uses it. Raises CalledProcessError."""
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def fill(self) -> None:
        """To the last byte."""
        with (self._folder / _BALLOON).open("wb", buffering=0) as balloon:
            try:
                while balloon.write(_CHUNK):
                    pass
            except OSError:  # no space left, which is what was wanted
                pass

    def free(self) -> None:
        (self._folder / _BALLOON).unlink(missing_ok=True)
