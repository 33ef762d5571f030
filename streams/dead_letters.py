"""Refused messages: what is kept of one, and how an operator lists, shows and re-sends them.

A person's messages (clicks, activities, erasures, …) leave only their coordinates and key here unless
`FRESHET_DEAD_LETTER_PAYLOADS` says otherwise, so that forgetting a user needs no search through them; re-sending
reads the original back from its own topic.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from recsys.errors import EventError
from streams import topics
from streams.log.base import Headers, Log, NewRecord, Record, TopicPartition
from streams.settings import Settings

PERSON_KEYED = frozenset(
    {
        topics.CLICKS,
        topics.ACTIVITIES,
        topics.ERASURES,
        topics.LINKS,
        topics.FEED,
        topics.SERVED,
        topics.RECOMMENDATIONS,
    }
)
RESENT_HEADER = "freshet-resent"
"""On a re-sent record: the dead letter it came from, as `PARTITION:OFFSET`."""
UNREADABLE = "unreadable-dead-letter"
"""The reason given to what someone else wrote to the topic."""
MAX_KEPT_BYTES = 700_000
"""Longer values are left out: in base64 they would pass the broker's 1 MiB."""
MAX_KEPT_KEY_BYTES = 4_096
"""Longer keys are cut: ours have at most 1 KiB, and a key stands in a dead letter twice."""
MAX_KEPT_HEADER_BYTES = 16_384
MAX_TEXT_CHARS = 1_000
_CHUNK = 500
_NEAR = 20_000
"""Offsets that are cheaper to read through than to open a reader for."""
_PATIENCE_S = 10.0


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A refused message in the contract's form; bytes are base64 in JSON, a value left out has no field."""

    topic: str
    partition: int
    offset: int
    reason: str
    text: str
    key: bytes | None
    value: bytes | msgspec.UnsetType | None = msgspec.UNSET


class StoredLetter(NamedTuple):
    """A dead letter and its own place in the `dead-letters` topic."""

    partition: int
    offset: int
    timestamp_ms: int
    letter: DeadLetter
    headers: Headers


@dataclass(frozen=True)
class ResendReport:
    """How many letters went back to their topics, and which had no original left to send."""

    resent: int
    gone: tuple[StoredLetter, ...]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DeadLetter)


def dead_letter(record: Record, reason: str, text: str, settings: Settings) -> NewRecord:
    """The record to append for a refused one; never larger than the broker takes, whatever was refused."""
    source = record.topic.removeprefix(settings.topic_prefix)
    is_kept = source not in PERSON_KEYED or settings.dead_letter_payloads
    value: bytes | msgspec.UnsetType | None = record.value
    if not is_kept or (record.value is not None and len(record.value) > MAX_KEPT_BYTES):
        value = msgspec.UNSET
    key = None if record.key is None else record.key[:MAX_KEPT_KEY_BYTES]
    letter = DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        text=text[:MAX_TEXT_CHARS].encode(errors="replace").decode(),
        key=key,
        value=value,
    )
    size = sum(len(name) + len(content or b"") for name, content in record.headers)
    headers = record.headers if is_kept and size <= MAX_KEPT_HEADER_BYTES else ()
    return NewRecord(settings.topic_prefix + topics.DEAD_LETTERS, key, _encoder.encode(letter), headers=headers)


async def list_dead_letters(
    log: Log, settings: Settings, *, topic: str | None = None, reason: str | None = None
) -> AsyncIterator[StoredLetter]:
    """The letters that stand in the log now, oldest first within each partition; `topic` without the prefix."""
    name = settings.topic_prefix + topics.DEAD_LETTERS
    source = None if topic is None else settings.topic_prefix + topic
    ends = await log.end_offsets(name)
    starts = await log.beginning_offsets(name)
    offsets = {TopicPartition(name, part): starts[part] for part, end in ends.items() if end > starts[part]}
    async for record in _read(log, offsets, {place: ends[place.partition] for place in offsets}):
        letter = _decode(record)
        if (source is None or letter.topic == source) and (reason is None or letter.reason == reason):
            yield StoredLetter(record.partition, record.offset, record.timestamp_ms, letter, record.headers)


async def show_dead_letter(
    log: Log, settings: Settings, partition: int, offset: int
) -> tuple[StoredLetter, Record | None]:
    """One letter by its place in `dead-letters`, and the original where its topic still has it.

    Raises
    ------
    EventError
        `no-such-letter`.
    """
    name = settings.topic_prefix + topics.DEAD_LETTERS
    record = (await _originals(log, [(name, partition, offset)])).get((name, partition, offset))
    if record is None:
        raise EventError("no-such-letter", f"There is no dead letter at {partition}:{offset}.")
    letter = _decode(record)
    place = (letter.topic, letter.partition, letter.offset)
    original = (await _originals(log, [place])).get(place)
    return StoredLetter(partition, offset, record.timestamp_ms, letter, record.headers), original


async def resend(log: Log, letters: Sequence[StoredLetter]) -> ResendReport:
    """Append the originals to their topics again, in the given order, each marked with `freshet-resent`.

    What a letter does not hold itself is read from its source topic; where retention or compaction has taken it,
    the letter is reported as gone.
    """
    resent, gone = 0, []
    for start in range(0, len(letters), _CHUNK):
        chunk = letters[start : start + _CHUNK]
        missing = [_place(stored) for stored in chunk if _needs_original(stored.letter)]
        originals = await _originals(log, missing)
        records = []
        for stored in chunk:
            record = _again(stored, originals.get(_place(stored)))
            if record is None:
                gone.append(stored)
            else:
                records.append(record)
        await log.append_many(records)
        resent += len(records)
    return ResendReport(resent, tuple(gone))


async def sent_before(log: Log, letters: Sequence[StoredLetter]) -> set[tuple[int, int]]:
    """Which of these letters were sent again already, by their places in `dead-letters`.

    The mark is the header of what was sent, so it is as durable as that: the partitions that the letters' keys go to
    are read from the oldest letter on.
    """
    starts: dict[TopicPartition, int] = {}
    existing = await log.describe({stored.letter.topic for stored in letters})
    ends = {topic: await log.end_offsets(topic) for topic in existing}
    firsts = {topic: await log.beginning_offsets(topic) for topic in existing}
    for letter in (stored.letter for stored in letters if stored.letter.topic in existing):
        n_partitions = existing[letter.topic].partitions
        key = letter.key
        goes_to = range(n_partitions) if key is None else [log.partition_for(key, n_partitions)]
        for partition in goes_to:
            place = TopicPartition(letter.topic, partition)
            first = firsts[letter.topic][partition]
            start = max(first, letter.offset + 1) if partition == letter.partition else first
            starts[place] = min(start, starts.get(place, start))
    behind = {place: ends[place.topic][place.partition] for place in starts}
    sent: set[tuple[int, int]] = set()
    ahead = {place: start for place, start in starts.items() if start < behind[place]}
    async for record in _read(log, ahead, {place: behind[place] for place in ahead}):
        mark = dict(record.headers).get(RESENT_HEADER)
        if mark is not None:
            partition_text, _, offset = mark.decode(errors="replace").partition(":")
            if partition_text.isdecimal() and offset.isdecimal():
                sent.add((int(partition_text), int(offset)))
    return sent


def _place(stored: StoredLetter) -> tuple[str, int, int]:
    return stored.letter.topic, stored.letter.partition, stored.letter.offset


def _holds_all(letter: DeadLetter) -> bool:
    is_cut = letter.key is not None and len(letter.key) >= MAX_KEPT_KEY_BYTES
    return letter.value is not msgspec.UNSET and not is_cut


def _needs_original(letter: DeadLetter) -> bool:
    return letter.reason != UNREADABLE and not _holds_all(letter)


def _again(stored: StoredLetter, original: Record | None) -> NewRecord | None:
    letter = stored.letter
    mark = (RESENT_HEADER, f"{stored.partition}:{stored.offset}".encode())
    if original is not None:
        headers = tuple(header for header in original.headers if header[0] != RESENT_HEADER)
        return NewRecord(letter.topic, original.key, original.value, headers=(*headers, mark))
    if isinstance(letter.value, msgspec.UnsetType) or not _holds_all(letter):
        return None
    headers = tuple(header for header in stored.headers if header[0] != RESENT_HEADER)
    return NewRecord(letter.topic, letter.key, letter.value, headers=(*headers, mark))


def _decode(record: Record) -> DeadLetter:
    """The letter of a record; for what someone else wrote to the topic, one that says so."""
    try:
        return _decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=UNREADABLE,
            text="This message of the dead-letters topic is not a dead letter of Freshet.",
            key=record.key,
        )


async def _originals(log: Log, places: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], Record]:
    """The records at these coordinates that are still there."""
    wanted: dict[TopicPartition, set[int]] = {}
    for topic, partition, offset in places:
        wanted.setdefault(TopicPartition(topic, partition), set()).add(offset)
    existing = await log.describe({place.topic for place in wanted})
    found: dict[tuple[str, int, int], Record] = {}
    for place, offsets in wanted.items():
        if place.topic not in existing or place.partition >= existing[place.topic].partitions:
            continue
        first = (await log.beginning_offsets(place.topic))[place.partition]
        end = (await log.end_offsets(place.topic))[place.partition]
        for run in _near_runs(sorted(offset for offset in offsets if first <= offset < end)):
            async for record in _read(log, {place: run[0]}, {place: run[-1] + 1}):
                if record.offset in offsets:
                    found[record.topic, record.partition, record.offset] = record
    return found


def _near_runs(offsets: list[int]) -> list[list[int]]:
    """Sorted offsets cut wherever two neighbours lie far apart."""
    runs: list[list[int]] = []
    for offset in offsets:
        if runs and offset - runs[-1][-1] <= _NEAR:
            runs[-1].append(offset)
        else:
            runs.append([offset])
    return runs


async def _read(log: Log, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> AsyncIterator[Record]:
    """The records from `starts` up to `ends`; gaps of compaction are passed over."""
    if not starts:
        return
    reader = log.reader(starts)
    try:
        while any(reader.position(place) < end for place, end in ends.items()):
            records = await reader.poll(_PATIENCE_S)
            if not records:  # the rest is compacted away: a broker that is down raises instead
                break
            for record in records:
                if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                    yield record
    finally:
        await reader.close()
