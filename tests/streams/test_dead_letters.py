"""Dead letters in the contract's form, without a person's payload, listed, shown and sent again."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recsys.errors import EventError
from streams import topics
from streams.dead_letters import (
    MAX_KEPT_BYTES,
    RESENT_HEADER,
    StoredLetter,
    dead_letter,
    list_dead_letters,
    resend,
    show_dead_letter,
)
from streams.log.base import Log, NewRecord, Position, Record, TopicPartition
from streams.log.embedded import EmbeddedLog
from streams.settings import Settings

SETTINGS = Settings(topic_prefix="acme-", partitions=2)
HEADERS = (("ce_id", b"e-1"),)


def a_record(
    topic: str = "products", key: bytes | None = b"sku-1", value: bytes | None = b"\xff{", **named: object
) -> Record:
    return Record(f"acme-{topic}", 1, 42, 1_700_000_000_000, key, value, HEADERS)._replace(**named)  # type: ignore[arg-type]


def letter_of(record: NewRecord) -> dict[str, object]:
    assert record.value is not None
    decoded = json.loads(record.value)
    assert isinstance(decoded, dict)
    return decoded


def test_a_refused_product_keeps_its_bytes_and_where_it_stood() -> None:
    record = dead_letter(a_record(), "malformed-json", "The message is not JSON.", SETTINGS)

    assert (record.topic, record.key, record.headers) == ("acme-dead-letters", b"sku-1", HEADERS)
    assert letter_of(record) == {
        "topic": "acme-products",
        "partition": 1,
        "offset": 42,
        "reason": "malformed-json",
        "text": "The message is not JSON.",
        "key": base64.b64encode(b"sku-1").decode(),
        "value": base64.b64encode(b"\xff{").decode(),
    }


@pytest.mark.parametrize("topic", ["clicks", "activities", "erasures", "links"])
def test_a_persons_payload_is_left_out_unless_the_setting_says_otherwise(topic: str) -> None:
    record = a_record(topic, value=b"private")

    plain = dead_letter(record, "wrong-type", "user_id must be text.", SETTINGS)
    asked = dead_letter(
        record, "wrong-type", "user_id must be text.", SETTINGS.model_copy(update={"dead_letter_payloads": True})
    )

    assert "value" not in letter_of(plain)
    assert plain.headers == ()
    assert letter_of(asked)["value"] == base64.b64encode(b"private").decode()


def test_null_is_not_the_same_as_left_out() -> None:
    assert letter_of(dead_letter(a_record(key=None, value=None), "missing-key", "No key.", SETTINGS))["value"] is None


@pytest.mark.parametrize(
    "record",
    [
        a_record(value=b"x" * 1_048_000),
        a_record(value=b"x" * MAX_KEPT_BYTES, key=b"k" * 10_000),
        a_record(key=b"k" * 1_048_000, value=b""),
        a_record(headers=(("h", b"x" * 1_000_000),)),
        a_record(value=b"x" * MAX_KEPT_BYTES, key=b"k" * 4096, headers=(("h", b"x" * 16_000),)),
    ],
)
def test_a_letter_always_fits_into_the_log(record: Record) -> None:
    letter = dead_letter(record, "too-large", "\x00ü\ud800" * 10_000, SETTINGS)

    headers = sum(len(name) + len(value) for name, value in letter.headers)
    assert len(letter.key or b"") + len(letter.value or b"") + headers < 1 << 20


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = EmbeddedLog.shared(tmp_path / "log.db")
    await log.start()
    try:
        await log.create(topics.all_topics(SETTINGS))
        yield log
    finally:
        await log.stop()


async def refuse(log: Log, topic: str, key: bytes, value: bytes, reason: str = "malformed-json") -> Position:
    """Produce a record and its dead letter, as an agent would; the record's place."""
    place = await log.append(NewRecord(f"acme-{topic}", key, value, headers=HEADERS))
    record = Record(place.topic, place.partition, place.offset, place.timestamp_ms, key, value, HEADERS)
    await log.append(dead_letter(record, reason, "It is bad.", SETTINGS))
    return place


async def letters(log: Log, **chosen: str) -> list[StoredLetter]:
    return [stored async for stored in list_dead_letters(log, SETTINGS, **chosen)]


async def read_all(log: Log, topic: str) -> list[Record]:
    name = f"acme-{topic}"
    ends = await log.end_offsets(name)
    reader = log.reader({TopicPartition(name, partition): 0 for partition in ends})
    records: list[Record] = []
    while any(reader.position(TopicPartition(name, partition)) < end for partition, end in ends.items()):
        records += await reader.poll(1.0)
    await reader.close()
    return records


async def test_letters_are_listed_by_topic_and_reason(log: Log) -> None:
    await refuse(log, "clicks", b"ann", b"1")
    await refuse(log, "products", b"lamp", b"2")
    await refuse(log, "clicks", b"bob", b"3", reason="too-deep")

    assert len(await letters(log)) == 3
    assert [stored.letter.key for stored in await letters(log, topic="products")] == [b"lamp"]
    assert [stored.letter.key for stored in await letters(log, reason="too-deep")] == [b"bob"]


async def test_no_letters_in_an_empty_log(log: Log) -> None:
    assert await letters(log) == []


async def test_someone_elses_message_among_the_letters_is_shown_as_such(log: Log) -> None:
    await log.append(NewRecord("acme-dead-letters", b"k", b"hello"))

    assert [stored.letter.reason for stored in await letters(log)] == ["unreadable-dead-letter"]
    assert (await resend(log, await letters(log))).resent == 0


async def test_a_letter_is_shown_with_the_original_from_its_topic(log: Log) -> None:
    await refuse(log, "clicks", b"ann", b"original")
    (stored,) = await letters(log)

    shown, original = await show_dead_letter(log, SETTINGS, stored.partition, stored.offset)

    assert shown == stored
    assert original is not None
    assert original.value == b"original"
    with pytest.raises(EventError, match="no dead letter"):
        await show_dead_letter(log, SETTINGS, stored.partition, 99)
    with pytest.raises(EventError, match="no dead letter"):
        await show_dead_letter(log, SETTINGS, 77, 0)


async def test_originals_go_back_to_their_topic_in_order_and_marked(log: Log) -> None:
    for number in range(5):
        await refuse(log, "clicks", b"ann", b"%d" % number)
    await refuse(log, "products", b"lamp", b"p")

    report = await resend(log, await letters(log))

    assert (report.resent, report.gone) == (6, ())
    again = [record for record in await read_all(log, "clicks") if RESENT_HEADER in dict(record.headers)]
    assert [record.value for record in again] == [b"0", b"1", b"2", b"3", b"4"]
    assert all(record.key == b"ann" and dict(record.headers)["ce_id"] == b"e-1" for record in again)
    products = [record for record in await read_all(log, "products") if RESENT_HEADER in dict(record.headers)]
    assert [(record.key, record.value) for record in products] == [(b"lamp", b"p")]


async def test_what_has_no_original_left_is_reported(log: Log) -> None:
    await refuse(log, "clicks", b"ann", b"here")
    lost = Record("acme-clicks", 0, 5_000, 0, b"bob", b"gone", ())
    elsewhere = Record("acme-nowhere", 0, 0, 0, b"bob", b"x" * (MAX_KEPT_BYTES + 1), ())
    for record in (lost, elsewhere):
        await log.append(dead_letter(record, "too-large", "It is bad.", SETTINGS))

    report = await resend(log, await letters(log))

    assert report.resent == 1
    assert {stored.letter.topic for stored in report.gone} == {"acme-clicks", "acme-nowhere"}


async def test_a_letter_sent_again_twice_carries_the_newest_mark_only(log: Log) -> None:
    await refuse(log, "products", b"lamp", b"p")
    await resend(log, await letters(log))
    (again,) = [record for record in await read_all(log, "products") if RESENT_HEADER in dict(record.headers)]
    await log.append(dead_letter(again, "malformed-json", "Still bad.", SETTINGS))

    await resend(log, (await letters(log))[-1:])

    newest = max(await read_all(log, "products"), key=lambda record: record.offset)
    assert [name for name, _ in newest.headers].count(RESENT_HEADER) == 1
