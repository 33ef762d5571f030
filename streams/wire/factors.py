"""Item factors in the log: chunks of one generation in one of two slots, and a manifest that puts it in use.

Chunks stand in `item-factors` under keys `a:0`, `a:1`, … or `b:0`, `b:1`, …; those of the content map under `a:c0`, ….
A new generation is written over the slot that is *not* in use, so the one in use stays readable until the manifest,
under the key `als` in `models`, names the new one. Both topics are compacted: they hold the newest two generations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

import msgspec
import numpy as np

from recsys.als.content import ContentMap
from recsys.als.model import FactorModel, Factors
from recsys.errors import StateError
from recsys.types import ItemId, Matrix
from streams.log.base import Record

SCHEMA = 1
MANIFEST_KEY = b"als"
SLOTS = ("a", "b")
ITEMS_A_CHUNK = 1_000
CHUNK_BYTES = 900_000
"""Kafka and the embedded log refuse records of more than 1 MiB."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Some of a generation's items with their factors, or some rows of its content map (no items)."""

    schema: int
    version: str
    item_ids: tuple[ItemId, ...]
    rows: bytes


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What is in use.

    Attributes
    ----------
    generation : 1 for a log's first model, one more for each further one
    digest : blake2b, 16 bytes, of all chunks' values in order, items first
    text_dim : length of the text vectors that the content map takes
    trained_at_ms : epoch milliseconds by the wall clock
    n_events : interactions counted so far, offsets : next offset of `clicks` by partition
    """

    schema: int
    version: str
    generation: int
    slot: str
    n_items: int
    n_factors: int
    n_chunks: int
    n_content_chunks: int
    text_dim: int
    digest: bytes
    regularization: float
    trained_at_ms: int
    n_events: int
    offsets: dict[int, int]


@dataclass(frozen=True)
class Generation:
    """One generation as records: all chunks must be durable before the manifest is written."""

    manifest: Manifest
    chunks: tuple[tuple[bytes, bytes], ...]
    """Key and value of each, for `item-factors`."""

    @property
    def manifest_value(self) -> bytes:
        return _encode(self.manifest)


T = TypeVar("T", Chunk, Manifest)
_encode = msgspec.msgpack.Encoder().encode
_chunk_decoder = msgspec.msgpack.Decoder(Chunk)
_manifest_decoder = msgspec.msgpack.Decoder(Manifest)


def version_of(generation: int, item_ids: tuple[ItemId, ...], factors: Matrix) -> str:
    """A name that sorts by age, and that two different models never share."""
    digest = blake2b(msgspec.msgpack.encode(item_ids) + factors.tobytes(), digest_size=4)
    return f"{generation:06d}-{digest.hexdigest()}"


def encode_generation(
    trained: Factors,
    previous: Manifest | None,
    *,
    trained_at_ms: int,
    n_events: int,
    offsets: Mapping[int, int],
) -> Generation:
    """The records of a model.

    Parameters
    ----------
    previous : the manifest in use, whose slot is left alone
    """
    slot = SLOTS[0] if previous is None or previous.slot == SLOTS[1] else SLOTS[1]
    items = [
        _encode(Chunk(SCHEMA, trained.version, trained.item_ids[start:end], trained.factors[start:end].tobytes()))
        for start, end in _item_spans(trained)
    ]
    content = (
        []
        if trained.content is None
        else [
            _encode(Chunk(SCHEMA, trained.version, (), rows.tobytes()))
            for rows in _content_spans(trained.content.weights)
        ]
    )
    manifest = Manifest(
        schema=SCHEMA,
        version=trained.version,
        generation=previous.generation + 1 if previous else 1,
        slot=slot,
        n_items=len(trained.item_ids),
        n_factors=trained.factors.shape[1],
        n_chunks=len(items),
        n_content_chunks=len(content),
        text_dim=trained.content.text_dim if trained.content else 0,
        digest=_digest(items + content),
        regularization=trained.regularization,
        trained_at_ms=trained_at_ms,
        n_events=n_events,
        offsets=dict(offsets),
    )
    return Generation(manifest, tuple(zip(_keys(manifest), items + content, strict=True)))


def _item_spans(trained: Factors) -> Iterator[tuple[int, int]]:
    start, size = 0, 0
    row_bytes = trained.factors.shape[1] * 4
    for place, item_id in enumerate(trained.item_ids):
        bytes_here = row_bytes + len(item_id.encode()) + 5
        if place - start == ITEMS_A_CHUNK or (place > start and size + bytes_here > CHUNK_BYTES):
            yield start, place
            start, size = place, 0
        size += bytes_here
    if trained.item_ids:
        yield start, len(trained.item_ids)


def _content_spans(weights: Matrix) -> Iterator[Matrix]:
    rows = max(1, CHUNK_BYTES // (weights.shape[1] * 4))
    for start in range(0, len(weights), rows):
        yield weights[start : start + rows]


def _keys(manifest: Manifest) -> list[bytes]:
    """The keys of a generation's chunks, in the order of its digest."""
    items = [f"{manifest.slot}:{n}".encode() for n in range(manifest.n_chunks)]
    return items + [f"{manifest.slot}:c{n}".encode() for n in range(manifest.n_content_chunks)]


def _digest(values: list[bytes]) -> bytes:
    digest = blake2b(digest_size=16)
    for value in values:
        digest.update(value)
    return digest.digest()


class FactorAssembler:
    """Makes models out of the records of `item-factors` and `models`, read from the beginning, in any interleaving.

    A model comes out once its manifest and all its chunks are in and the digest is right; until then whoever asks goes
    on with the one before. Half a generation, left by a trainer that died, is never in use: no manifest names it.
    """

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        """The newest manifest, whether its chunks are in or not."""
        self.version: str | None = None
        """The newest model that came out."""
        self._chunks: dict[bytes, tuple[Chunk, bytes]] = {}

    def feed(self, record: Record) -> FactorModel | None:
        """Take one record of either topic; the new model when it was the last one missing.

        Raises StateError for a record that cannot be read, and for a generation whose digest is wrong.
        """
        if record.key is None or record.value is None:
            return None
        if record.key == MANIFEST_KEY:
            self.manifest = _read(_manifest_decoder, record.value, "manifest")
        elif record.key[:2] in (b"a:", b"b:"):
            chunk = _read(_chunk_decoder, record.value, "chunk")
            self._chunks[record.key] = (chunk, record.value)
            if self.manifest is None or chunk.version != self.manifest.version:
                return None
        else:
            return None
        return self._assembled(self.manifest)

    def _assembled(self, manifest: Manifest) -> FactorModel | None:
        if manifest.version == self.version:
            return None
        parts = [self._chunks.get(key) for key in _keys(manifest)]
        found = [part for part in parts if part is not None and part[0].version == manifest.version]
        if len(found) < len(parts):
            return None
        if _digest([value for _, value in found]) != manifest.digest:
            raise StateError(f"The factors {manifest.version} do not match their digest; the ones before stay in use.")
        trained = _decode_generation(manifest, [chunk for chunk, _ in found])
        self.version = manifest.version
        for key in _keys(manifest):
            del self._chunks[key]
        return FactorModel(trained)


def _decode_generation(manifest: Manifest, chunks: list[Chunk]) -> Factors:
    items, content = chunks[: manifest.n_chunks], chunks[manifest.n_chunks :]
    item_ids = tuple(item_id for chunk in items for item_id in chunk.item_ids)
    return Factors(
        version=manifest.version,
        item_ids=item_ids,
        factors=_matrix(items, manifest.n_factors),
        regularization=manifest.regularization,
        content=ContentMap(_matrix(content, manifest.n_factors), manifest.text_dim) if content else None,
    )


def _matrix(chunks: list[Chunk], n_factors: int) -> Matrix:
    return np.frombuffer(b"".join(chunk.rows for chunk in chunks), dtype=np.float32).reshape(-1, n_factors)


def _read(decoder: "msgspec.msgpack.Decoder[T]", value: bytes, what: str) -> T:
    try:
        decoded = decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise StateError(f"A {what} of item factors cannot be read: {error}.") from error
    if decoded.schema > SCHEMA:
        raise StateError(
            f"A {what} of item factors has form {decoded.schema}, this release reads up to {SCHEMA}: upgrade first."
        )
    return decoded
