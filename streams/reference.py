"""What a log must have led to, folded as plainly as can be: record after record, without batches, agents or crashes.

It shares with the agents the parsers, the policy and the form of what is stored, and none of the folding, so that each
checks the other: `freshet verify` compares a deployment with it, and so do the tests of crashes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import msgspec

from recsys.counts import DAY_MS, ItemTrend, TrendsPolicy
from recsys.errors import EventError
from recsys.events import ACTION_CODE, Action, Click, Product
from recsys.history import REMEMBERED_EVENTS, SEEN_AT_MOST, Interaction, UserState, encode_state, short_hash
from recsys.records import MAX_RECORD_BYTES, SCHEMA, CatalogueFields, encode_record
from recsys.refresh import RecommendPolicy
from streams.log.base import Record
from streams.wire.click import parse_click
from streams.wire.limits import check_id
from streams.wire.product import parse_product

NO_LIST = (Action.IMPRESSION, Action.SEARCH)


class Place(NamedTuple):
    """Where a record stands in its topic."""

    partition: int
    offset: int


@dataclass
class ClicksReference:
    """Users' states, counts and refusals that records of `clicks` lead to; put them in the order of each partition.

    Parameters
    ----------
    marks : for users whose state is wanted as it stood just after some offset: those offsets
    epoch : of the topic; rises when it is created anew
    """

    policy: RecommendPolicy
    marks: Mapping[str, Collection[int]] = field(default_factory=dict)
    epoch: int = 1
    states: dict[str, UserState] = field(default_factory=dict)
    counts: dict[int, dict[str, ItemTrend]] = field(default_factory=dict)
    watermarks: dict[int, int] = field(default_factory=dict)
    refused: dict[Place, str] = field(default_factory=dict)
    last: dict[str, Place] = field(default_factory=dict)
    """Of each user's newest event."""
    n_clicks: int = 0
    _marked: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def put(self, record: Record) -> None:
        """Take the next record of its partition."""
        place = Place(record.partition, record.offset)
        try:
            if record.value is None:
                raise EventError("missing-value", "")
            click = parse_click(record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
        except EventError as error:
            self.refused[place] = error.reason
            return
        self.n_clicks += 1
        self.watermarks[place.partition] = max(self.watermarks.get(place.partition, 0), click.ts_ms)
        state = self.states.get(click.user_id)
        if state is None:
            state = self.states[click.user_id] = UserState(history=[], events={}, seen={}, queries=[])
        for mark in self.marks.get(click.user_id, ()):
            if state.offset <= mark < place.offset:
                self._marked[click.user_id, mark] = encode_state(state)
        self.last[click.user_id] = place
        self._take(state, click, place)

    def state_at(self, user_id: str, mark: int) -> bytes | None:
        """A user's state just after one of the marked offsets; None for a user without an event up to there."""
        state = self.states.get(user_id)
        if state is not None and state.offset <= mark:
            return encode_state(state)
        return self._marked.get((user_id, mark))

    def packed_states(self) -> dict[str, bytes]:
        """Every user's newest state, as it must stand in `user-state`."""
        return {user_id: encode_state(state) for user_id, state in self.states.items()}

    def _take(self, state: UserState, click: Click, place: Place) -> None:
        state.epoch, state.offset = self.epoch, place.offset
        state.watermark_ms = max(state.watermark_ms, self.watermarks[place.partition])
        event = short_hash(click.event_id)
        if event in state.events:
            return
        state.events[event] = click.ts_ms
        if len(state.events) > REMEMBERED_EVENTS:
            state.events.pop(next(iter(state.events)))
        policy = self.policy.history
        if click.item_id and click.type is not Action.IMPRESSION:
            deed = Interaction(click.item_id, ACTION_CODE[click.type], click.ts_ms, click.value, place.offset)
            state.history = sorted([*state.history, deed], key=lambda one: one.ts_ms)[-policy.size :]
            weight = self.policy.confidence.weight(deed.action) * deed.value
            if deed in state.history and weight > 0:
                counts = self.counts.setdefault(place.partition, {})
                _count(counts, deed, weight, [one for one in state.history if one != deed], self.policy.trends)
        if click.type in policy.seen:
            for item_id in click.items or (click.item_id,):
                item = short_hash(item_id)
                if item not in state.seen and len(state.seen) == SEEN_AT_MOST:
                    state.seen.pop(next(iter(state.seen)))
                state.seen[item] = max(click.ts_ms, state.seen.get(item, 0))
        if click.type is Action.SEARCH and click.context.query:
            state.queries = [*state.queries, click.context.query][-policy.queries :]
        if click.type not in NO_LIST:
            state.trigger_event, state.trigger_offset = click.event_id, place.offset


def _count(
    counts: dict[str, ItemTrend], deed: Interaction, weight: float, earlier: list[Interaction], policy: TrendsPolicy
) -> None:
    """Count one deed, and its pairs with the user's earlier ones (rising in time)."""
    item = counts.setdefault(deed.item_id, ItemTrend())
    age_ms = item.at_ms - deed.ts_ms
    fading = [
        days * DAY_MS for days in (policy.half_life_days, policy.short_half_life_days, policy.long_half_life_days)
    ]
    if age_ms < 0:
        item.popularity, item.of_late, item.long_since = (
            amount * 2.0 ** (age_ms / half_life_ms)
            for amount, half_life_ms in zip((item.popularity, item.of_late, item.long_since), fading, strict=True)
        )
        item.at_ms, age_ms = deed.ts_ms, 0
    item.popularity += weight * 2.0 ** (-age_ms / fading[0])
    item.of_late += weight * 2.0 ** (-age_ms / fading[1])
    item.long_since += weight * 2.0 ** (-age_ms / fading[2])
    item.count += 1.0
    item.offset = deed.offset
    met = {deed.item_id}
    for gap, other in enumerate(earlier[::-1][: policy.window], start=1):
        if other.item_id in met:
            continue
        met.add(other.item_id)
        is_one_session = deed.ts_ms - other.ts_ms <= policy.session_gap_ms
        amount = exp(-gap / policy.reach) * (policy.session_boost if is_one_session else 1.0)
        partner = counts.setdefault(other.item_id, ItemTrend())
        partner.offset = deed.offset
        item.pairs = _added(item.pairs, other.item_id, amount, policy.row_limit)
        partner.pairs = _added(partner.pairs, deed.item_id, amount, policy.row_limit)
        if gap <= policy.steps:
            partner.next = _added(partner.next, deed.item_id, 1.0 / gap, policy.next_limit)


def _added(pairs: dict[str, float], item_id: str, amount: float, limit: int) -> dict[str, float]:
    added = {**pairs, item_id: pairs.get(item_id, 0.0) + amount}
    strongest = sorted(added.items(), key=lambda pair: (-pair[1], pair[0]))
    return added if len(added) <= 2 * limit else dict(strongest[:limit])


class Newest(msgspec.Struct, frozen=True):
    """A product's newest message that was taken: its place, and the product, or None where it was deleted."""

    place: Place
    product: Product | None


@dataclass
class ProductsReference:
    """The newest of each product that records of `products` lead to."""

    products: dict[str, Newest] = field(default_factory=dict)
    refused: dict[Place, str] = field(default_factory=dict)

    def put(self, record: Record) -> None:
        """Take the next record of its partition."""
        place = Place(record.partition, record.offset)
        try:
            if record.value is None:
                item_id, product = check_id("item_id", (record.key or b"").decode()), None
            else:
                product = parse_product(
                    record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms
                )
                item_id = product.item_id
                n_bytes = len(encode_record(CatalogueFields(SCHEMA, product, place.offset, bytes(16))))
                if n_bytes > MAX_RECORD_BYTES:
                    raise EventError("too-large", "")
        except UnicodeDecodeError:
            self.refused[place] = "not-utf8"
        except EventError as error:
            self.refused[place] = error.reason
        else:
            self.products[item_id] = Newest(place, product)
