"""Versions of lists and user states: what is newer, in an order that plain string comparison keeps."""

from typing import NamedTuple

from recsys.errors import StateError


class Version(NamedTuple):
    """Epoch of the source topic, offset of the newest event folded in, and how often the list was made anew since.

    A re-created topic starts again at offset 0: its epoch is one higher, so its lists still win over the old ones.
    """

    epoch: int
    offset: int
    revision: int = 0

    def __str__(self) -> str:
        return f"{self.epoch:04d}-{self.offset:016d}-{self.revision:08d}"


LENGTH = len(str(Version(1, 0)))
"""Every version has this many characters, so that the larger string is the newer version."""


def parse_version(text: str) -> Version:
    """Read a version back; StateError when it is none."""
    try:
        epoch, offset, revision = text.split("-")
        return Version(int(epoch), int(offset), int(revision))
    except ValueError as error:
        raise StateError(f"{text[:60]!r} is no version of a list (epoch-offset-revision).") from error
