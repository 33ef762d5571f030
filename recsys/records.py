"""What the compacted `catalog` topic holds of one product, in two records that change apart from each other.

Fields and flags change often and must be live at once; vectors take a fetch and a network. So a price change writes
one small record and never touches the vectors, and nothing has to remember vectors in order to repeat them.
"""

from typing import NamedTuple, NewType

import msgspec
import numpy as np

from recsys.errors import StateError
from recsys.events import Product
from recsys.types import ItemId, Vector

SCHEMA = 1
MAX_RECORD_BYTES = 1_000_000
"""Of a record of `catalog`: the broker takes 1 MiB with its key and frame."""
ContentHash = NewType("ContentHash", bytes)
"""blake2b, 16 bytes, of everything that the encoders see of a product, and of the encoders' names."""


class CatalogueFields(msgspec.Struct, frozen=True, array_like=True):
    """Everything about a product but its vectors; `source_offset` is its message's place in `products`."""

    schema: int
    product: Product
    source_offset: int
    content: bytes


class CatalogueVectors(msgspec.Struct, frozen=True, array_like=True):
    """A product's vectors, float16 and of unit length; empty bytes where a part is missing.

    They belong to the product as long as `content` equals that of its fields; until newer ones arrive, old ones serve.
    `dropped` names the parts that could not be made (`image:fetch-timeout`).
    """

    schema: int
    content: bytes
    source_offset: int
    text_encoder: str
    image_encoder: str
    text: bytes
    image: bytes
    """Of several pictures, the direction of their mean."""
    dropped: tuple[str, ...] = ()
    pictures: tuple[bytes, ...] = ()
    """Each picture's vector, where there are several: from them is learned how pictures of one product differ."""
    look: bytes = b""
    """Of the main picture, 8 bytes; empty where there is none, or its record is older than looks."""


class VectorsOrigin(msgspec.Struct, frozen=True, array_like=True):
    """Where a product's vectors come from; the vectors themselves live in the index only."""

    content: bytes
    source_offset: int
    text_encoder: str
    image_encoder: str
    dropped: tuple[str, ...]
    look: bytes = b""


class Entry(NamedTuple):
    """What the catalogue holds of one product besides its vectors."""

    item_id: ItemId
    fields: CatalogueFields | None
    origin: VectorsOrigin | None
    pictures: tuple[bytes, ...] = ()
    """Each picture's vector, half precision, of a product with several."""


def pack_vector(vector: Vector) -> bytes:
    """Half-precision bytes of a vector; empty for a vector of zeros (a missing part)."""
    return vector.astype(np.float16).tobytes() if vector.any() else b""


def unpack_vector(packed: bytes) -> Vector:
    """The vector of `pack_vector`, float32, shape (dim,); shape (0,) for a missing part."""
    return np.frombuffer(packed, dtype=np.float16).astype(np.float32)


_encoder = msgspec.msgpack.Encoder()
_fields_decoder = msgspec.msgpack.Decoder(CatalogueFields)
_vectors_decoder = msgspec.msgpack.Decoder(CatalogueVectors)


def fields_key(item_id: str) -> bytes:
    return b"f:" + item_id.encode()


def vectors_key(item_id: str) -> bytes:
    return b"v:" + item_id.encode()


def encode_record(record: CatalogueFields | CatalogueVectors) -> bytes:
    return _encoder.encode(record)


def decode_fields(value: bytes) -> CatalogueFields:
    """Raises StateError for a record of a newer or damaged form."""
    try:
        fields = _fields_decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise StateError(f"A fields record of the catalog topic cannot be read: {error}.") from error
    _check_schema("fields", fields.schema)
    return fields


def decode_vectors(value: bytes) -> CatalogueVectors:
    """Raises StateError for a record of a newer or damaged form."""
    try:
        vectors = _vectors_decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise StateError(f"A vectors record of the catalog topic cannot be read: {error}.") from error
    _check_schema("vectors", vectors.schema)
    return vectors


def _check_schema(kind: str, schema: int) -> None:
    if schema > SCHEMA:
        raise StateError(
            f"A {kind} record of the catalog topic has form {schema}, this release reads up to {SCHEMA}: upgrade first."
        )
