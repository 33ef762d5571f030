"""What a log of clicks must have led to, by a fold as plain as can be: no batches, no crashes, no processes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from recsys.errors import EventError
from recsys.history import UserState, decode_state, encode_state
from recsys.refresh import fold_click
from recsys.trends import ItemTrend, PartitionTrends, decode_trend
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Record
from streams.policy import recommend_policy
from streams.settings import Settings
from streams.wire.click import parse_click

Place = tuple[int, int]
"""Partition and offset."""


@dataclass
class Facts:
    """States by user, counts by partition and item, the places of the records that are no clicks."""

    states: dict[str, bytes] = field(default_factory=dict)
    trends: dict[int, dict[str, ItemTrend]] = field(default_factory=dict)
    refused: dict[Place, str] = field(default_factory=dict)
    last: dict[str, Place] = field(default_factory=dict)
    """Of each user's newest click."""
    n_applied: int = 0


def fold_plainly(clicks: Iterable[Record], settings: Settings) -> Facts:
    """Fold all records of `clicks`, one after the other."""
    policy = recommend_policy(settings)
    facts = Facts()
    states: dict[str, UserState] = {}
    counts: defaultdict[int, PartitionTrends] = defaultdict(lambda: PartitionTrends(policy.trends))
    for record in clicks:
        place = (record.partition, record.offset)
        if record.value is None:
            facts.refused[place] = "missing-value"
            continue
        try:
            click = parse_click(record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
        except EventError as error:
            facts.refused[place] = error.reason
            continue
        state = states.get(click.user_id)
        if state is None:
            state = states[click.user_id] = UserState(history=[], events={}, seen={}, queries=[])
        trends = counts[record.partition]
        fold_click(state, trends, click, offset=record.offset, epoch=1, policy=policy)
        facts.last[click.user_id] = place
        facts.n_applied += 1
    facts.states = {user_id: encode_state(state) for user_id, state in states.items()}
    facts.trends = {partition: trends.items for partition, trends in counts.items()}
    return facts


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
