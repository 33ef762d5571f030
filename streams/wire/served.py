"""Records of `served`: the first items of each list of a user who takes part in an experiment."""

import msgspec

from recsys.errors import StateError
from recsys.events import RecommendationList

SHOWN = 10
"""First places of a list that count as shown."""


class Served(msgspec.Struct, frozen=True):
    """What stood in a user's list from the event on that `version` names, until the next."""

    version: str
    rec_id: str
    variant: str
    item_ids: tuple[str, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Served).decode


def encode_served(made: RecommendationList) -> bytes:
    """A list's record."""
    shown = tuple(item.item_id for item in made.items[:SHOWN])
    return _encode(Served(made.version, made.rec_id, made.variant or "", shown))


def decode_served(value: bytes) -> Served:
    """Raises StateError for bytes that are no record of ours."""
    try:
        return _decode(value)
    except msgspec.MsgspecError as error:
        raise StateError(f"A record of served cannot be read: {error}.") from error
