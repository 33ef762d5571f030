"""Views on disk: written aside, checked by digest, put in use by one rename; a damaged one is told from a good one.

A snapshot is a folder with a file for each part and a `manifest` that names them. New parts are written under new
names beside the old ones; renaming the new manifest over the old one puts them in use, so a crash at any moment leaves
the old snapshot or the new one. The manifest's first line is the digest of the second, which is JSON.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from recsys.errors import SnapshotError, UnavailableError
from streams import failpoints

FORMAT = 1
MANIFEST = "manifest"
SAID_EVERY_S = 60.0
"""A disk that takes nothing is spoken of this often: a trainer of a young log would say it every five seconds."""
logger = logging.getLogger(__name__)


class _Part(msgspec.Struct, frozen=True):
    file: str
    digest: str


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    meta: dict[str, Any]
    parts: dict[str, _Part]


def write_snapshot(folder: Path, name: str, parts: Mapping[str, bytes], meta: Mapping[str, Any]) -> None:
    """Put a snapshot in place of the one of that name; once this returns it survives a power cut.

    Parameters
    ----------
    parts : mapping of str to bytes
        Named in small letters, digits and dashes.
    meta : mapping
        Anything JSON can hold: the offsets that the snapshot is true up to, versions.

    Raises
    ------
    UnavailableError
        If the disk is full or cannot be written; the snapshot that was there still stands.
    """
    place = folder / name
    stem = uuid4().hex
    files = {part: _Part(f"{stem}.{part}", _digest(content)) for part, content in parts.items()}
    body = msgspec.json.encode(_Manifest(FORMAT, dict(meta), files))
    try:
        place.mkdir(parents=True, exist_ok=True)
        for part, content in parts.items():
            _write_through(place / files[part].file, content)
        failpoints.reached(failpoints.SNAPSHOT)
        _write_through(place / f"{stem}.{MANIFEST}", _digest(body).encode() + b"\n" + body)
        os.replace(place / f"{stem}.{MANIFEST}", place / MANIFEST)
        _sync_folder(place)
        _sweep(place, keep={MANIFEST, *(part.file for part in files.values())})
    except OSError as error:
        _drop(place, stem)
        raise UnavailableError(f"The snapshot {place} cannot be written: {error}.") from error


class Complaints:
    """Tells an operator that a snapshot cannot be written, once a minute at most, and once that it can be again.

    Parameters
    ----------
    consequence : a sentence on what that means
    """

    def __init__(self, consequence: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._consequence, self._now_s = consequence, now_s
        self._said_s: float | None = None

    def failed(self, error: UnavailableError) -> None:
        """Note that a snapshot could not be written."""
        now_s = self._now_s()
        if self._said_s is None or now_s - self._said_s >= SAID_EVERY_S:
            self._said_s = now_s
            logger.warning("%s %s", error, self._consequence)

    def written(self, place: str) -> None:
        """Note that one was."""
        if self._said_s is not None:
            self._said_s = None
            logger.info("The snapshot %s is written again.", place)


def read_snapshot(folder: Path, name: str) -> tuple[dict[str, bytes], dict[str, Any]] | None:
    """A snapshot's parts and meta; None where there is none.

    Raises SnapshotError where it is truncated, altered or of another form; whoever holds the log then starts from it.
    """
    place = folder / name
    try:
        digest, _, body = (place / MANIFEST).read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"The snapshot {place} cannot be read: {error}.") from error
    if _digest(body).encode() != digest:
        raise SnapshotError(f"The manifest of the snapshot {place} is damaged.")
    try:
        manifest = msgspec.json.decode(body, type=_Manifest)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"The snapshot {place} is of another form: {error}.") from error
    if manifest.format != FORMAT:
        raise SnapshotError(f"The snapshot {place} has format {manifest.format}, this release reads {FORMAT}.")
    return {part: _read_part(place, part, listed) for part, listed in manifest.parts.items()}, manifest.meta


def _read_part(place: Path, part: str, listed: _Part) -> bytes:
    try:
        content = (place / listed.file).read_bytes()
    except OSError as error:
        raise SnapshotError(f"The part {part} of the snapshot {place} cannot be read: {error}.") from error
    if _digest(content) != listed.digest:
        raise SnapshotError(f"The part {part} of the snapshot {place} is truncated or altered.")
    return content


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop(place: Path, stem: str) -> None:
    """Remove what a broken-off write has left, so that a full disk is not kept full by it."""
    with contextlib.suppress(OSError):
        for path in place.glob(f"{stem}.*"):
            path.unlink()


def _sweep(place: Path, keep: set[str]) -> None:
    """Remove what earlier snapshots and broken-off writes have left."""
    for path in place.iterdir():
        if path.name not in keep:
            path.unlink()
