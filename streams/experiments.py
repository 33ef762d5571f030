"""What came of an experiment: users' choices against the lists that stood before them, both read from the log."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from recsys.confidence import ConfidencePolicy
from recsys.errors import EventError, StateError
from recsys.events import ACTION_CODE, Action, Click
from recsys.experiments import Outcome
from recsys.versions import parse_version
from streams import topics
from streams.log.base import Log, Record
from streams.log.ranges import chunks
from streams.settings import Settings
from streams.wire.click import REPLAYED, parse_click
from streams.wire.served import decode_served


class _Standing(NamedTuple):
    """A list that stood from after an offset of `clicks` on."""

    epoch: int
    offset: int
    variant: str
    shown: frozenset[str]


Outcomes = Mapping[str, Mapping[str, Outcome]]
"""By variant, as lists name it, and user."""


class Choices:
    """Folds records of `served`, then of `clicks`, of one partition after the other."""

    def __init__(self, confidence: ConfidencePolicy) -> None:
        self._confidence = confidence
        self._standing: dict[str, list[_Standing]] = defaultdict(list)
        self._events: set[tuple[str, str]] = set()
        self.outcomes: defaultdict[str, defaultdict[str, Outcome]] = defaultdict(lambda: defaultdict(Outcome))

    def stands(self, record: Record) -> None:
        """Take a list; one that cannot be read is left out."""
        user_id = (record.key or b"").decode()
        try:
            served = decode_served(record.value or b"")
            version = parse_version(served.version)
        except StateError:
            return
        self.outcomes[served.variant][user_id]  # a user who never chooses counts as a user
        shown = frozenset(served.item_ids)
        self._standing[user_id].append(_Standing(version.epoch, version.offset, served.variant, shown))

    def sort(self) -> None:
        """All lists are in: a redelivery may have brought some again, and later."""
        newest = max((lists[-1].epoch for lists in self._standing.values()), default=0)
        for user_id, lists in self._standing.items():
            # Offsets of a topic that was created anew since mean nothing any more.
            self._standing[user_id] = sorted(
                (standing for standing in lists if standing.epoch == newest), key=lambda standing: standing.offset
            )

    def choose(self, record: Record) -> None:
        """Take a click; one that is repeated, replayed, bad or before the user's first list counts for nothing."""
        if record.value is None or REPLAYED in record.headers:
            return
        try:
            click = parse_click(record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
        except EventError:
            return
        lists = self._standing.get(click.user_id)
        if lists is None or not self._is_choice(click):
            return
        before = bisect_left(lists, record.offset, key=lambda standing: standing.offset) - 1
        if before < 0 or (click.user_id, click.event_id) in self._events:
            return
        self._events.add((click.user_id, click.event_id))
        standing = lists[before]
        outcome = self.outcomes[standing.variant][click.user_id]
        is_hit = click.item_id in standing.shown
        outcome.choices += 1
        outcome.hits += is_hit
        outcome.bought += is_hit and click.type is Action.PURCHASE

    def _is_choice(self, click: Click) -> bool:
        return bool(click.item_id) and self._confidence.weight(ACTION_CODE[click.type]) > 0


async def read_outcomes(log: Log, settings: Settings, confidence: ConfidencePolicy) -> Outcomes:
    """Every variant that `served` names, of all experiments of its last 30 days."""
    choices = Choices(confidence)
    served, clicks = (settings.topic_prefix + name for name in (topics.SERVED, topics.CLICKS))
    await _each(log, served, choices.stands)
    choices.sort()
    await _each(log, clicks, choices.choose)
    return choices.outcomes


async def _each(log: Log, topic: str, take: Callable[[Record], None]) -> None:
    for partition, end in sorted((await log.end_offsets(topic)).items()):
        async for records in chunks(log, topic, partition, 0, end):
            for record in records:
                take(record)
