"""What the recommend agent owns of one partition of `clicks`, and how it gets it back after a crash or a rebalance."""

import contextlib
import logging
from dataclasses import dataclass, field
from typing import Protocol

from recsys.counts import PartitionTrends, decode_trend
from recsys.errors import EventError, StateError
from recsys.events import Click
from recsys.history import UserState, decode_state
from recsys.refresh import RecommendPolicy, count_click
from recsys.versions import Version
from streams import failpoints
from streams.agents.owed import OwedLists
from streams.log.base import Log, Record, TopicPartition

POLL_S = 0.5
CHUNK = 10_000
"""Events read at once: bounds what they take to some megabytes."""
COUNTED_TO_KEY = b""
"""The record of `trends` that says up to which offset its partition's counts are complete."""
logger = logging.getLogger(__name__)


class ParseClick(Protocol):
    """Reads a record of `clicks`; raises EventError."""

    def __call__(self, record: Record) -> Click: ...


@dataclass
class ClickPartition:
    """The users of one partition and the partition's counts; true up to the newest offset folded in."""

    partition: int
    epoch: int
    trends: PartitionTrends
    states: dict[str, UserState] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    """Users whose list is not full for want of products: it is made anew when there are more."""
    owed: OwedLists = field(default_factory=OwedLists)

    def state_of(self, user_id: str) -> UserState:
        state = self.states.get(user_id)
        if state is None:
            state = self.states[user_id] = UserState(history=[], events={}, seen={}, queries=[])
        return state

    def listed(self, user_id: str, *, is_full: bool) -> None:
        """Note how a user's new list turned out."""
        if is_full:
            self.short.discard(user_id)
        else:
            self.short.add(user_id)


@dataclass(frozen=True)
class PartitionTopics:
    """Full names of the topics that share the partitions of `clicks`."""

    clicks: str
    user_state: str
    trends: str


async def recover(
    log: Log, topics: PartitionTopics, partition: int, first_offset: int, policy: RecommendPolicy, parse: ParseClick
) -> ClickPartition:
    """Rebuild a partition's states and counts from their compacted topics.

    The counts are published once a second and so lag behind the states: the events between the two are read once more
    from `clicks`. An item whose counts already reach past such an event leaves it out, so nothing counts twice.

    Parameters
    ----------
    first_offset : the first event that is to be processed; everything before it is in the states
    """
    states = await read_states(log, topics.user_state, partition)
    failpoints.reached(failpoints.IN_RECOVERY)
    newest = max((Version(state.epoch, state.offset) for state in states.values()), default=Version(1, -1))
    end = (await log.end_offsets(topics.clicks))[partition]
    epoch = newest.epoch
    if newest.offset >= end:
        # States know events that the topic does not have: it was created anew, and starts its offsets again.
        epoch += 1
        logger.warning("%s [%d] was created anew: its lists go on in epoch %d.", topics.clicks, partition, epoch)
    trends, counted_to = await _read_trends(log, topics.trends, partition, policy, is_first_epoch=epoch == 1)
    owned = ClickPartition(partition, epoch, trends, states)
    trends.watermark_ms = await _watermark(log, topics.clicks, owned, first_offset, parse)
    if epoch == newest.epoch:
        await _count_rest(log, topics.clicks, owned, counted_to, first_offset, policy, parse)
    else:
        for trend in trends.items.values():
            trend.offset = -1
        trends.offset = -1
    return owned


async def read_states(log: Log, topic: str, partition: int) -> dict[str, UserState]:
    """Every user's newest state: a stale writer's late record never wins over a newer one."""
    states: dict[str, UserState] = {}
    for record in await read_to_end(log, topic, partition):
        user_id = (record.key or b"").decode()
        if record.value is None:
            states.pop(user_id, None)
            continue
        state = decode_state(record.value)
        known = states.get(user_id)
        if known is None or (state.epoch, state.offset, state.revision) >= (known.epoch, known.offset, known.revision):
            states[user_id] = state
    return states


async def _read_trends(
    log: Log, topic: str, partition: int, policy: RecommendPolicy, *, is_first_epoch: bool
) -> tuple[PartitionTrends, int]:
    """The newest counts. Offsets only rise until `clicks` is created anew: what is older then is a stale writer's."""
    trends = PartitionTrends(policy.trends)
    counted_to = -1
    for record in await read_to_end(log, topic, partition):
        if record.value is None:
            continue
        if record.key == COUNTED_TO_KEY:
            counted_to = max(int(record.value), counted_to if is_first_epoch else -1)
            continue
        item_id, trend = (record.key or b"").decode(), decode_trend(record.value)
        known = trends.items.get(item_id)
        if known is None or not is_first_epoch or trend.offset >= known.offset:
            trends.items[item_id] = trend
    trends.offset = counted_to
    return trends, counted_to


async def _watermark(log: Log, topic: str, owned: ClickPartition, first_offset: int, parse: ParseClick) -> int:
    """The partition's event time just before its first event to be processed, as it was when that came first.

    States may be ahead of that event, and so may their event time. So it is taken from the newest state that is not,
    and from the events since.
    """
    states = owned.states.values()
    earlier = [state.watermark_ms for state in states if state.epoch < owned.epoch]
    behind = [state for state in states if state.epoch == owned.epoch and state.offset < first_offset]
    newest = max(behind, key=lambda state: state.offset, default=UserState())
    start = newest.offset + 1
    if start < min(first_offset, (await log.beginning_offsets(topic))[owned.partition]):
        return max(state.watermark_ms for state in states) if states else 0  # what it would be made from is gone
    watermark_ms = max([newest.watermark_ms, *earlier])
    while start < first_offset:
        for record in await read_to_end(log, topic, owned.partition, start, min(start + CHUNK, first_offset)):
            with contextlib.suppress(EventError):
                watermark_ms = max(watermark_ms, parse(record).ts_ms)
        start += CHUNK
    return watermark_ms


async def _count_rest(
    log: Log,
    topic: str,
    owned: ClickPartition,
    counted_to: int,
    first_offset: int,
    policy: RecommendPolicy,
    parse: ParseClick,
) -> None:
    for record in await read_to_end(log, topic, owned.partition, start=counted_to + 1, end=first_offset):
        try:
            click = parse(record)
        except EventError:
            continue
        state = owned.states.get(click.user_id)
        if state is not None:
            count_click(state, owned.trends, click, offset=record.offset, policy=policy)
        owned.trends.offset = max(owned.trends.offset, record.offset)


async def read_to_end(log: Log, topic: str, partition: int, start: int = 0, end: int | None = None) -> list[Record]:
    """All records of a partition from one offset to another, by default to its present end."""
    tp = TopicPartition(topic, partition)
    first = max(start, (await log.beginning_offsets(topic))[partition])
    last = (await log.end_offsets(topic))[partition]
    if end is not None:
        last = min(last, end)
    records: list[Record] = []
    if first >= last:
        return records
    reader = log.reader({tp: first})
    try:
        while reader.position(tp) < last:
            records += [record for record in await reader.poll(POLL_S) if record.offset < last]
    finally:
        await reader.close()
    if records and records[0].offset < first:
        raise StateError(f"{topic} [{partition}] was read from {records[0].offset}, asked for {first}.")
    return records
