"""What is sealed comes out as it went in, or not at all."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.backup.errors import DamagedError, WrongKeyError
from stack.backup.key import Key
from stack.backup.sealed import CHUNK_BYTES, SealedReader, SealedWriter

KEY, OTHER_KEY = Key(bytes(32)), Key(bytes(31) + b"\1")
PATH = Path("/archive/some.sealed")
NOISE = random.Random(1).randbytes(2 * CHUNK_BYTES + 1000)  # does not shrink, so it takes three chunks
HEADER_BYTES, TAG_BYTES = 59, 16


def seal(*pieces: bytes, key: Key = KEY, name: str = "wal/1") -> bytes:
    target = io.BytesIO()
    writer = SealedWriter(target, key, name)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    assert writer.plain_bytes == sum(map(len, pieces))
    return target.getvalue()


def unseal(sealed: bytes, key: Key = KEY, name: str = "wal/1") -> bytes:
    return SealedReader(io.BytesIO(sealed), key, name, path=PATH).read()


@given(st.lists(st.binary(max_size=200), max_size=20), st.integers(1, 50))
def test_what_is_written_in_any_pieces_is_read_in_any_pieces(pieces: list[bytes], size: int) -> None:
    reader = SealedReader(io.BytesIO(seal(*pieces)), KEY, "wal/1", path=PATH)
    found = []
    while piece := reader.read(size):
        found.append(piece)
    assert b"".join(found) == b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(NOISE)])
def test_every_number_of_chunks_is_read_again(size: int) -> None:
    assert unseal(seal(NOISE[:size])) == NOISE[:size]


def test_the_same_content_is_never_sealed_to_the_same_bytes() -> None:
    assert seal(NOISE)[HEADER_BYTES:] != seal(NOISE)[HEADER_BYTES:]
    assert b"order" * 10 not in seal(b"order" * 1000)


@given(st.data())
def test_no_bit_can_be_flipped(data: st.DataObject) -> None:
    sealed = bytearray(seal(b"a fill of 100 shares" * 20))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedError, match=str(PATH)):
        unseal(bytes(sealed))


def test_chunks_cannot_be_left_out_repeated_swapped_or_cut_off() -> None:
    sealed = seal(NOISE)
    whole = CHUNK_BYTES + TAG_BYTES
    head, first, second, last = (
        sealed[:HEADER_BYTES],
        sealed[HEADER_BYTES : HEADER_BYTES + whole],
        sealed[HEADER_BYTES + whole : HEADER_BYTES + 2 * whole],
        sealed[HEADER_BYTES + 2 * whole :],
    )
    assert unseal(head + first + second + last) == NOISE
    for forged in (
        head,
        head[:20],
        b"",
        head + first,
        head + first + second,
        head + first + last,
        head + second + first + last,
        head + first + first + second + last,
        sealed + last,
        sealed[:-1],
        seal(NOISE)[:HEADER_BYTES] + sealed[HEADER_BYTES:],
    ):
        with pytest.raises(DamagedError, match=str(PATH)):
            unseal(forged)


def test_a_file_cannot_be_put_in_anothers_place() -> None:
    with pytest.raises(DamagedError, match=str(PATH)):
        unseal(seal(NOISE, name="wal/1"), name="wal/2")


def test_a_wrong_key_is_told_apart_from_damage_and_no_key_is_shown() -> None:
    with pytest.raises(WrongKeyError) as caught:
        unseal(seal(NOISE), key=OTHER_KEY)
    assert KEY.key_id in str(caught.value)
    assert OTHER_KEY.key_id in str(caught.value)
    assert OTHER_KEY.secret.hex() not in str(caught.value) + repr(OTHER_KEY)


def test_a_key_is_kept_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = Key.create(path)
    assert Key.find(path, {}) == key == Key.find(None, {"ELSON_BACKUP_KEY": key.secret.hex()})
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Key.create(path)


def _open_to_others(path: Path) -> None:
    Key.create(path)
    path.chmod(0o640)


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda path: None, "no key can be read: No such file"),
        (_open_to_others, "open to other users"),
        (lambda path: _private(path, "abc"), "holds no key: expected 64 hex digits"),
        (lambda path: _private(path, "zz" * 32), "holds no key: expected 64 hex digits"),
    ],
)
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, prepare: Callable[[Path], None], complaint: str) -> None:
    prepare(tmp_path / "key")
    with pytest.raises(WrongKeyError, match=f"{tmp_path / 'key'}.*{complaint}"):
        Key.find(tmp_path / "key", {})
    with pytest.raises(WrongKeyError, match="no key: name a key file, or put the key into ELSON_BACKUP_KEY"):
        Key.find(None, {})


def _private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
