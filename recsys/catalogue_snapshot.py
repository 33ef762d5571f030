"""The catalogue as named bytes, and back: MessagePack and plain arrays, never pickle."""

from collections.abc import Mapping

import msgspec
import numpy as np

from recsys.catalogue import Catalogue
from recsys.errors import SnapshotError
from recsys.index.live import Part
from recsys.index.mutable import MutableSegment
from recsys.records import Entry


def catalogue_to_snapshot(catalogue: Catalogue) -> dict[str, bytes]:
    """Everything the catalogue holds; the living rows only, so that a restart compacts.

    May run in another thread while the catalogue changes: it then holds some of the changes made meanwhile, and is put
    right by feeding it again what came after the offsets that were noted *before* the call.

    Returns
    -------
    dict of bytes
        `products`: MessagePack, a list of [item id, fields or nil, origin or nil]; `index`: a list of
        [part, encoder, dim]; for the i-th of those `rows-i` (int32, shape (n,)) and `vectors-i` (float16, shape
        (n, dim)), little-endian: the n-th vector belongs to the product at `rows-i`[n].
    """
    entries, index = catalogue.entries()
    places = np.full(len(index.ids), -1, dtype="<i4")
    places[index.ids.rows(entry.item_id for entry in entries)] = np.arange(len(entries))
    generations = index.generations()
    parts = {
        "products": msgspec.msgpack.encode(entries),
        "index": msgspec.msgpack.encode([(part, encoder, segment.dim) for part, encoder, segment in generations]),
    }
    for number, (_, _, segment) in enumerate(generations):
        rows = segment.held_rows()
        rows = rows[rows < len(places)]
        rows = rows[places[rows] >= 0]
        parts[f"rows-{number}"] = places[rows].tobytes()
        parts[f"vectors-{number}"] = segment.gather(rows).tobytes()
    return parts


def catalogue_from_snapshot(parts: Mapping[str, bytes]) -> Catalogue:
    """The catalogue of `catalogue_to_snapshot`. Raises SnapshotError for parts that are missing or of another form."""
    try:
        entries = msgspec.msgpack.decode(parts["products"], type=list[Entry])
        kinds = msgspec.msgpack.decode(parts["index"], type=list[tuple[Part, str, int]])
        generations = [
            (part, encoder, _segment(parts[f"rows-{i}"], parts[f"vectors-{i}"], dim, len(entries)))
            for i, (part, encoder, dim) in enumerate(kinds)
        ]
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise SnapshotError(f"The catalogue's snapshot cannot be read: {error!r}.") from error
    return Catalogue.restored(entries, generations)


def _segment(rows: bytes, vectors: bytes, dim: int, n_products: int) -> MutableSegment:
    segment = MutableSegment(dim)
    numbers = np.frombuffer(rows, dtype="<i4").astype(np.intp)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < n_products:
        raise ValueError("a vector belongs to no product")
    segment.fill(numbers, np.frombuffer(vectors, dtype="<f2").reshape(-1, dim))
    return segment
