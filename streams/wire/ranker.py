"""Ranker weights in `models`: what is in use under one key, and the newest few versions under keys of their own.

The record under `ranker` holds the weights themselves, so that a reader needs no other; a deleted one means those that
every shop starts with.
"""

from hashlib import blake2b

import msgspec
import numpy as np

from recsys.errors import StateError
from recsys.ranker import FEATURES, N_FEATURES, N_ROWS, VERSION, Floats, RankerWeights

SCHEMA = 1
IN_USE_KEY = b"ranker"
SLOTS = 8
"""Versions that are kept."""


class RankerRecord(msgspec.Struct, frozen=True, array_like=True):
    """One version of the weights.

    Attributes
    ----------
    generation : 1 for a log's first, one more for each further one
    features : a digest of what the columns mean; a release with other features goes on with the weights it starts with
    table : float32, N_ROWS · N_FEATURES
    gain, low, high : nats a choice by which it foretold better than the version before it, and 95 % of that
    taught_at_ms : epoch milliseconds by the wall clock
    is_pinned : somebody has chosen it: no trainer replaces it
    """

    schema: int
    version: str
    generation: int
    features: bytes
    table: bytes
    n_lessons: int
    gain: float
    low: float
    high: float
    taught_at_ms: int
    is_pinned: bool = False

    def weights(self) -> RankerWeights | None:
        """The ranker; None where its features are not this release's."""
        if self.features != FEATURES_DIGEST:
            return None
        table = np.frombuffer(self.table, dtype=np.float32).astype(np.float64)
        return RankerWeights(table.reshape(N_ROWS, N_FEATURES), self.version)


FEATURES_DIGEST = blake2b(msgspec.msgpack.encode((VERSION, FEATURES, N_ROWS)), digest_size=8).digest()
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(RankerRecord)


def slot_key(generation: int) -> bytes:
    """Where a version is kept until there are `SLOTS` newer ones."""
    return f"ranker:{generation % SLOTS}".encode()


def is_ranker(key: bytes | None) -> bool:
    return key is not None and (key == IN_USE_KEY or key.startswith(IN_USE_KEY + b":"))


def packed_table(table: Floats) -> bytes:
    return table.astype(np.float32).tobytes()


def version_of(generation: int, table: bytes) -> str:
    """A name that begins with what the features are, sorts by age, and is never shared."""
    return f"{VERSION}-{generation:06d}-{blake2b(table, digest_size=4).hexdigest()}"


def encode_ranker(record: RankerRecord) -> bytes:
    return _encode(record)


def decode_ranker(value: bytes) -> RankerRecord:
    """Raises StateError for a record of a newer or damaged form."""
    try:
        record = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise StateError(f"A ranker of the models topic cannot be read: {error}.") from error
    if record.schema > SCHEMA:
        raise StateError(
            f"A ranker of the models topic has form {record.schema}, this release reads up to {SCHEMA}: upgrade first."
        )
    if len(record.table) != 4 * N_ROWS * N_FEATURES and record.features == FEATURES_DIGEST:
        raise StateError(f"The ranker {record.version} of the models topic is not whole.")
    return record
