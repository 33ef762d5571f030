"""A record's key against the id in its value: both must agree, for the key decides the partition."""

from enum import Enum
from typing import Final

from recsys.errors import EventError


class Door(Enum):
    """Stands for the key of a message that has not become a record yet."""

    UNKEYED = "unkeyed"


UNKEYED: Final = Door.UNKEYED
Key = bytes | None | Door


def check_key(name: str, text: str, key: Key) -> None:
    """Refuse a record whose key is not its id: its partition's owner would not be the id's owner.

    Raises
    ------
    EventError
        `missing-key`, `key-mismatch`.
    """
    if key is UNKEYED:
        return
    if key is None:
        raise EventError("missing-key", f"The record has no key; produce it with its {name} as the key.")
    if key != text.encode():
        raise EventError("key-mismatch", f"The record's key is not its {name}; produce it with its {name} as the key.")
