"""Recommendation lists as JSON, `version` first: writers in Redis compare the first bytes."""

import msgspec

from recsys.errors import StateError
from recsys.events import RecommendationList

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RecommendationList)


def encode_list(recommendations: RecommendationList) -> bytes:
    """The same bytes for Redis, the topic and the API; fields in the order of the struct."""
    return _encoder.encode(recommendations)


def decode_list(value: bytes) -> RecommendationList:
    """Raises StateError for bytes that are no list of ours."""
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"A recommendation list cannot be read: {error}.") from error
