"""What the embed agent remembers of one partition of `products`; `catalog` is its changelog."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from recsys.errors import StateError
from recsys.events import Product
from recsys.records import decode_fields, decode_vectors
from streams.agents.partition import read_to_end
from streams.log.base import Log, Record

CHUNK = 10_000
"""Offsets read at once: bounds what recovery holds in memory to about 40 MB."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ItemState:
    """Of one product: its newest message, and what its newest vectors were made of."""

    fields_offset: int = -1
    vectors_offset: int = -1
    content: bytes = b""
    """Of the vectors that stand in `catalog`; empty where there are none."""
    has_dropped: bool = False
    """Whether a part of those vectors could not be made."""
    is_foreign: bool = False
    """From another `products` topic, whose offsets say nothing: its records are removed before new ones are written."""


@dataclass
class Job:
    """A product whose vectors are to be made; its messages are acknowledged when they are out."""

    record: Record
    product: Product
    content: bytes
    state: ItemState
    acks: list[Callable[[], object]]
    is_overtaken: bool = False
    """By a newer message of the product, with other content."""
    pictures: list[bytes] = field(default_factory=list)
    picture_fault: tuple[str, str] | None = None
    """Why there is no picture, or one too few: reason and text."""


@dataclass
class ProductPartition:
    """The items of one partition, and the jobs that are on their way."""

    items: dict[str, ItemState] = field(default_factory=dict)
    pending: dict[str, Job] = field(default_factory=dict)


async def recover(log: Log, products: str, catalog: str, partition: int) -> ProductPartition:
    """Read a partition's state from the records that it led to in `catalog`.

    Raises UnavailableError when the broker does not answer.
    """
    recovered = ProductPartition()
    start, end = 0, (await log.end_offsets(catalog))[partition]
    while start < end:
        for record in await read_to_end(log, catalog, partition, start, start + CHUNK):
            _apply(recovered.items, record)
        start += CHUNK
    next_offset = (await log.end_offsets(products))[partition]
    foreign = [state for state in recovered.items.values() if state.fields_offset >= next_offset]
    if foreign:
        # Records speak of messages that the topic does not have: it was created anew and starts its offsets again.
        logger.warning("%s [%d] was created anew: what it describes is written over.", products, partition)
        for state in recovered.items.values():
            state.is_foreign, state.fields_offset, state.vectors_offset = True, -1, -1
    return recovered


def _apply(items: dict[str, ItemState], record: Record) -> None:
    part, _, item_id = (record.key or b"").decode().partition(":")
    state = items.setdefault(item_id, ItemState())
    try:
        if part == "f":
            state.fields_offset = -1 if record.value is None else decode_fields(record.value).source_offset
        elif record.value is None:
            state.vectors_offset, state.content, state.has_dropped = -1, b"", False
        else:
            vectors = decode_vectors(record.value)
            state.vectors_offset, state.content = vectors.source_offset, vectors.content
            state.has_dropped = bool(vectors.dropped)
    except StateError as error:  # it will be written anew when its product comes again
        logger.error("%s [%d] at %d: %s Left out.", record.topic, record.partition, record.offset, error)
    if state.fields_offset < 0 and not state.content:
        del items[item_id]
