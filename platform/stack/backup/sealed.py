"""The format of everything stored: compressed (zstd), then encrypted and authenticated chunk by chunk (AES-256-GCM).

A file is a header and chunks, as in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) and Tink's AES-GCM-HKDF
streaming. Each file has a key of its own, derived from ours, a random salt and the file's name; each chunk's nonce
holds its number and whether it is the last. So chunks cannot be changed, moved, left out, cut off or taken from another
file, and a file cannot be put in another's place. Chunks are released only after they were found authentic.

    header: magic 8 | key id 8 | salt 32 | nonce prefix 7 | crc-32 of the former 4
    chunk:  up to 256 KiB of ciphertext | tag 16
"""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stack.backup.errors import DamagedError, WrongKeyError
from stack.backup.key import Key

MAGIC: Final = b"ELSEAL01"
CHUNK_BYTES: Final = 256 * 1024
_HEADER: Final = struct.Struct(">8s8s32s7sI")
_NONCE_END: Final = struct.Struct(">I?")
_TAG_BYTES: Final = 16
_LEVEL: Final = 3  # three quarters of a gigabyte of a run's log per second and core, to a fifth of it


class SealedWriter:
    """A file-like object for writing. What was written counts only after ``close``; ``target`` stays open."""

    def __init__(self, target: BinaryIO, key: Key, name: str) -> None:
        self.plain_bytes = 0
        self._target = target
        salt, prefix = secrets.token_bytes(32), secrets.token_bytes(7)
        header = _header(key, salt, prefix)
        self._cipher, self._bound = _cipher(key, salt, name), header + name.encode()
        self._prefix = prefix
        self._number = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False).compressobj()
        self._waiting = bytearray()
        target.write(header)

    def write(self, data: bytes | memoryview) -> int:
        self.plain_bytes += len(data)
        self._waiting += self._compressor.compress(data)
        while len(self._waiting) > CHUNK_BYTES:  # whatever comes last is more than nothing
            self._seal(CHUNK_BYTES, last=False)
        return len(data)

    def close(self) -> None:
        self._waiting += self._compressor.flush()
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(CHUNK_BYTES, last=False)
        self._seal(len(self._waiting), last=True)

    def _seal(self, size: int, *, last: bool) -> None:
        nonce = self._prefix + _NONCE_END.pack(self._number, last)
        self._target.write(self._cipher.encrypt(nonce, bytes(self._waiting[:size]), self._bound))
        del self._waiting[:size]
        self._number += 1


class SealedReader:
    """A file-like object for reading what a SealedWriter wrote under the same name.

    Raises WrongKeyError at once, DamagedError at the first chunk that is not as it was written; both name ``path``.
    """

    def __init__(self, source: BinaryIO, key: Key, name: str, *, path: Path) -> None:
        self._source = source
        self._path = path
        header = source.read(_HEADER.size)
        key_id, salt, self._prefix = _read_header(header, path)
        if key_id != key.key_id:
            raise WrongKeyError(f"{path} is sealed with key {key_id}; the key given is {key.key_id}")
        self._cipher, self._bound = _cipher(key, salt, name), header + name.encode()
        self._decompressor = zstandard.ZstdDecompressor().decompressobj()
        self._plain = self._pieces()
        self._ready = bytearray()

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, fewer only at the end, which is an authentic one."""
        while size < 0 or len(self._ready) < size:
            piece = next(self._plain, None)
            if piece is None:
                break
            self._ready += piece
        taken = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(taken)]
        return taken

    def _pieces(self) -> Iterator[bytes]:
        number, block = 0, self._source.read(CHUNK_BYTES + _TAG_BYTES)
        while block:
            following = self._source.read(CHUNK_BYTES + _TAG_BYTES)
            nonce = self._prefix + _NONCE_END.pack(number, not following)
            try:
                yield self._decompressor.decompress(self._cipher.decrypt(nonce, block, self._bound))
            except (InvalidTag, zstandard.ZstdError) as error:
                at = _HEADER.size + number * (CHUNK_BYTES + _TAG_BYTES)
                raise DamagedError(
                    f"{self._path} is damaged at or behind byte {at}, cut off, or another file's"
                ) from error
            number, block = number + 1, following
        if number == 0:
            raise DamagedError(f"{self._path} is damaged: it ends behind its header")


def _header(key: Key, salt: bytes, prefix: bytes) -> bytes:
    fields = (MAGIC, bytes.fromhex(key.key_id), salt, prefix)
    return _HEADER.pack(*fields, zlib.crc32(b"".join(fields)))


def _read_header(header: bytes, path: Path) -> tuple[str, bytes, bytes]:
    """The checksum is there to tell damage from a wrong key; what protects is that the chunks are bound to it."""
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise DamagedError(f"{path} is damaged: it does not begin as a sealed file does")
    magic, key_id, salt, prefix, checksum = _HEADER.unpack(header)
    if zlib.crc32(b"".join((magic, key_id, salt, prefix))) != checksum:
        raise DamagedError(f"{path} is damaged: its header is not as it was written")
    return key_id.hex(), salt, prefix


def _cipher(key: Key, salt: bytes, name: str) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt, MAGIC + name.encode()).derive(key.secret)
    return AESGCM(derived)
