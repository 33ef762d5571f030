"""What a batch of `products` leads to: decided here, as data; carried out in `embed`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from recsys.errors import EventError
from recsys.records import MAX_RECORD_BYTES, SCHEMA, CatalogueFields, encode_record, fields_key, vectors_key
from streams import topics
from streams.agents.content import card_of, content_hash
from streams.agents.embed_state import ItemState, Job, ProductPartition
from streams.dead_letters import RESENT_HEADER, dead_letter
from streams.log.base import NewRecord, Record
from streams.settings import Settings
from streams.wire.keys import check_key
from streams.wire.limits import check_id
from streams.wire.product import parse_product

Ack = Callable[[], object]


class Arrival(NamedTuple):
    """A record of `products` and what to call once everything it led to is durable."""

    record: Record
    ack: Ack


@dataclass
class Counters:
    """What the embed agent has done since it started, for metrics and the panel."""

    arrived: int = 0
    refused: int = 0
    embedded: int = 0
    unchanged: int = 0
    """Messages whose content had its vectors already."""
    overtaken: int = 0
    dropped: int = 0
    """Parts of products that could not be made."""


@dataclass
class Intake:
    """What a batch leads to: records, then Redis, then acks; and jobs, which bring acks of their own."""

    first: list[NewRecord] = field(default_factory=list)
    """Dead letters, and what must stand before the records below."""
    catalog: dict[bytes, NewRecord] = field(default_factory=dict)
    """By key: of several messages of a product only the newest is written."""
    cards: dict[str, dict[str, str]] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    acks: list[Ack] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    @property
    def records(self) -> list[NewRecord]:
        return [*self.first, *self.catalog.values()]


class Planner:
    """Decides what messages lead to, and remembers it in their partition's state."""

    def __init__(self, settings: Settings, text_encoder: str, image_encoder: str, counters: Counters) -> None:
        self._settings, self._encoders, self._counters = settings, (text_encoder, image_encoder), counters
        self._catalog = settings.topic_prefix + topics.CATALOG

    def plan(self, batch: Sequence[Arrival], partitions: Mapping[int, ProductPartition]) -> Intake:
        """Take messages in the order of their partition; what is refused becomes a dead letter."""
        intake = Intake()
        for arrival in batch:
            self._counters.arrived += 1
            partition = partitions[arrival.record.partition]
            try:
                if arrival.record.value is None:
                    self._delete(partition, arrival, intake)
                else:
                    self._put(partition, arrival, arrival.record.value, intake)
            except EventError as error:
                self._counters.refused += 1
                intake.first.append(dead_letter(arrival.record, error.reason, error.text, self._settings))
                intake.acks.append(arrival.ack)
        return intake

    def _put(self, partition: ProductPartition, arrival: Arrival, value: bytes, intake: Intake) -> None:
        record = arrival.record
        product = parse_product(value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
        content = content_hash(product, *self._encoders)
        fields = encode_record(CatalogueFields(SCHEMA, product, record.offset, content))
        if len(fields) > MAX_RECORD_BYTES:
            raise EventError("too-large", f"The product takes {len(fields)} bytes; at most {MAX_RECORD_BYTES} fit.")
        item_id = product.item_id
        state = partition.items.get(item_id)
        if state is not None and record.offset < state.fields_offset:  # delivered again, behind what came after it
            intake.acks.append(arrival.ack)
            return
        if state is None or state.is_foreign:
            if state is not None:
                intake.first += self._tombstones(record.partition, item_id)
            state = partition.items[item_id] = ItemState()
        if record.offset > state.fields_offset:
            key = fields_key(item_id)
            intake.catalog[key] = NewRecord(self._catalog, key, fields, record.partition)
            state.fields_offset = record.offset
        intake.cards[item_id] = card_of(product)
        intake.hidden[item_id] = not product.available
        intake.deleted.discard(item_id)
        self._want_vectors(partition, Job(record, product, content, state, [arrival.ack]), intake)

    def _want_vectors(self, partition: ProductPartition, job: Job, intake: Intake) -> None:
        """Take the job on unless its vectors stand in `catalog` or are on their way."""
        item_id, state = job.product.item_id, job.state
        pending = partition.pending.get(item_id)
        if pending is not None and pending.content == job.content:
            pending.acks += job.acks
            return
        job.acks = [*self._overtake(partition, item_id), *job.acks]
        is_resent = any(name == RESENT_HEADER for name, _ in job.record.headers)
        may_mend = state.has_dropped and is_resent and job.record.offset > state.vectors_offset
        if state.content == job.content and not may_mend:
            self._counters.unchanged += 1
            intake.acks += job.acks
            return
        partition.pending[item_id] = job
        intake.jobs.append(job)

    def _delete(self, partition: ProductPartition, arrival: Arrival, intake: Intake) -> None:
        record = arrival.record
        item_id = _key_id(record)
        intake.acks += [*self._overtake(partition, item_id), arrival.ack]
        partition.items.pop(item_id, None)
        intake.catalog |= {tombstone.key or b"": tombstone for tombstone in self._tombstones(record.partition, item_id)}
        intake.cards.pop(item_id, None)
        intake.hidden[item_id] = True
        intake.deleted.add(item_id)

    def _overtake(self, partition: ProductPartition, item_id: str) -> list[Ack]:
        """Give up the job of older content; its messages are done when the newer one's are."""
        job = partition.pending.pop(item_id, None)
        if job is None:
            return []
        job.is_overtaken = True
        self._counters.overtaken += 1
        return job.acks

    def _tombstones(self, partition: int, item_id: str) -> list[NewRecord]:
        return [NewRecord(self._catalog, key(item_id), None, partition) for key in (fields_key, vectors_key)]


def _key_id(record: Record) -> str:
    """The item that a tombstone deletes. Raises EventError."""
    try:
        item_id = check_id("item_id", (record.key or b"").decode())
    except UnicodeDecodeError as error:
        raise EventError("not-utf8", "The record's key is not UTF-8.") from error
    check_key("item_id", item_id, record.key)
    return item_id
