"""What topics hold, in forms that can be compared with the reference fold of the log of clicks."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from recsys.counts import ItemTrend, decode_trend
from recsys.history import decode_state
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Record
from streams.policy import recommend_policy
from streams.reference import ClicksReference
from streams.settings import Settings

Place = tuple[int, int]
"""Partition and offset."""


def reference_of(clicks: Iterable[Record], settings: Settings) -> ClicksReference:
    """The plain fold of all records of `clicks`."""
    reference = ClicksReference(recommend_policy(settings))
    for record in clicks:
        reference.put(record)
    return reference


def newest(records: Iterable[Record]) -> dict[str, Record]:
    """What stands in a compacted topic in the end, by key."""
    return {(record.key or b"").decode(): record for record in records}


def states_in(records: Iterable[Record]) -> dict[str, bytes]:
    """The users' states in `user-state`; none was made anew since its newest click."""
    found = {user_id: record.value for user_id, record in newest(records).items()}
    return {user_id: value for user_id, value in found.items() if value is not None}


def trends_in(records: Iterable[Record]) -> tuple[dict[int, dict[str, ItemTrend]], dict[int, int]]:
    """The counts in `trends`, and up to which offset each partition says that they are complete."""
    counts: defaultdict[int, dict[str, ItemTrend]] = defaultdict(dict)
    complete: dict[int, int] = {}
    for record in records:
        if record.value is None:
            continue
        if record.key == COUNTED_TO_KEY:
            complete[record.partition] = int(record.value)
        else:
            counts[record.partition][(record.key or b"").decode()] = decode_trend(record.value)
    return dict(counts), complete


def letters_in(records: Iterable[Record], topic: str) -> dict[Place, str]:
    """Reasons of the dead letters of one topic (its full name), by the place of what was refused; each stands once."""
    reasons: dict[Place, str] = {}
    for record in records:
        letter = json.loads(record.value or b"")
        place = (letter["partition"], letter["offset"])
        if letter["topic"] == topic:
            assert place not in reasons, f"{topic} {place} was refused twice"
            reasons[place] = letter["reason"]
    return reasons


def events_of(states: Mapping[str, bytes]) -> set[tuple[str, int]]:
    """Every event that a state remembers, as user and hash of the event id."""
    return {(user_id, event) for user_id, packed in states.items() for event in decode_state(packed).events}
