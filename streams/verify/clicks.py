"""One partition of `clicks`: what it must have led to, and what stands in the topics and in Redis."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recsys.counts import ItemTrend, decode_trend
from recsys.errors import StateError
from recsys.history import UserState, decode_state, encode_state
from recsys.refresh import RecommendPolicy
from recsys.versions import LENGTH, Version, parse_version
from streams.agents.partition import COUNTED_TO_KEY
from streams.log.base import Log, Record
from streams.log.ranges import chunks
from streams.reference import ClicksReference, Place
from streams.stores.redis import LIST_HEAD, RedisStore
from streams.verify.report import Check, Report

AT_ONCE = 200
"""Users asked for in one command to Redis: 1 MB of lists."""
EXPIRES_MS = 29 * 86_400_000
"""Lists and states in Redis, and lists on the topic, live for a day longer."""
BEGUN_BEFORE = "their older clicks are no longer in the topic, and neither is a state of that time"
EXPIRED = "their lists have expired"

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Bounds:
    """Offsets fixed at the start: what is compared lies before them.

    `acknowledged` is how far the workers had acknowledged `clicks`: everything before it must be in every view.
    """

    acknowledged: Mapping[int, int]
    ends: Mapping[str, Mapping[int, int]]
    """Of each topic by its full name, taken after `acknowledged`."""


@dataclass(frozen=True)
class Listed:
    """A list that is to be made again: where it was found, its bytes, and its user's state at its version."""

    where: str
    user_id: str
    value: bytes
    state: UserState


@dataclass
class ClicksCheck:
    """Compares one partition; `lists` are collected for users that `is_wanted` picks."""

    log: Log
    store: RedisStore
    prefix: str
    bounds: Bounds
    policy: RecommendPolicy
    report: Report
    letters: set[Place]
    letters_may_be_gone: bool
    is_wanted: Callable[[str], bool]
    advance: Advance = lambda n: None
    now_ms: int = 0
    lists: list[Listed] = field(default_factory=list)
    _expired: set[str] = field(default_factory=set)
    """Users whose newest click is so old that Redis and the topic may have dropped their lists."""

    async def run(self, partition: int) -> None:
        """Compare everything of one partition."""
        states, older = await self._states(partition)
        on_topic = await self._lists_on_topic(partition)
        in_redis, private = await self._in_redis(sorted(states))
        marks: dict[str, set[int]] = {user: {state.offset} for user, (state, _) in states.items()}
        for found in (on_topic, in_redis):
            for user_id, (version, _) in found.items():
                marks.setdefault(user_id, set()).add(version.offset)
        for user_id, packed in private.items():
            marks.setdefault(user_id, set()).add(parse_version(packed[:LENGTH].decode()).offset)
        begin = (await self.log.beginning_offsets(self._topic("clicks")))[partition]
        if any(state.epoch > 1 for state, _ in states.values()):
            self.report["states"].leave_out("the topic was created anew since", len(states))
            return
        reference = ClicksReference(self.policy, {user: sorted(places) for user, places in marks.items()})
        self._begin_with(reference, older, partition)
        acknowledged, listing = await self._fold(reference, partition, begin, marks)
        has_begun_later = begin > 0
        self._compare_states(reference, states, acknowledged, older, has_begun_later)
        self._compare_private(reference, private, states, has_begun_later)
        self._compare_lists(reference, on_topic, in_redis, listing, partition)
        self._compare_letters(reference, partition)
        if has_begun_later:
            self.report["counts"].leave_out("older clicks are no longer in the topic", len(reference.counts))
        else:
            await self._compare_counts(reference.counts.get(partition, {}), partition)

    def _topic(self, name: str) -> str:
        return self.prefix + name

    async def _states(self, partition: int) -> tuple[dict[str, tuple[UserState, bytes]], dict[str, UserState]]:
        """Newest states with their bytes, and of users whose clicks are gone the newest state before the rest."""
        check, topic = self.report["states"], self._topic("user-state")
        begin = (await self.log.beginning_offsets(self._topic("clicks")))[partition]
        states: dict[str, tuple[UserState, bytes]] = {}
        older: dict[str, UserState] = {}
        async for record in self._records(topic, partition):
            user_id = _key(record)
            if record.value is None:
                states.pop(user_id, None)
                continue
            try:
                state = decode_state(record.value)
            except StateError as error:
                check.same(False, f"{topic} [{partition}] at {record.offset}: {error}")
                continue
            known = states.get(user_id)
            if known is not None and _version(state) < _version(known[0]):
                place = f"{topic} [{partition}] at {record.offset}"
                check.same(False, f"{place}: {user_id} goes back from {_version(known[0])} to {_version(state)}.")
                continue
            states[user_id] = state, record.value
            if state.offset < begin:
                older[user_id] = decode_state(record.value)
        return states, older

    async def _lists_on_topic(self, partition: int) -> dict[str, tuple[Version, bytes | None]]:
        topic = self._topic("recommendations")
        found: dict[str, tuple[Version, bytes | None]] = {}
        async for record in self._records(topic, partition):
            user_id = _key(record)
            if record.value is None:
                found.pop(user_id, None)
                continue
            version = _list_version(record.value)
            known = found.get(user_id)
            if version is None or (known is not None and version < known[0]):
                place = f"{topic} [{partition}] at {record.offset}"
                self.report["lists"].same(False, f"{place}: the list of {user_id} goes back, or is none.")
                continue
            found[user_id] = version, record.value if self.is_wanted(user_id) else None
        return found

    async def _in_redis(
        self, user_ids: Sequence[str]
    ) -> tuple[dict[str, tuple[Version, bytes | None]], dict[str, bytes]]:
        lists: dict[str, tuple[Version, bytes | None]] = {}
        private: dict[str, bytes] = {}
        for start in range(0, len(user_ids), AT_ONCE):
            some = user_ids[start : start + AT_ONCE]
            for user_id, value in zip(some, await self.store.get_lists(some), strict=True):
                version = None if value is None else _list_version(value)
                if value is not None and version is not None:
                    lists[user_id] = version, value if self.is_wanted(user_id) else None
            found = zip(some, await self.store.get_users(some), strict=True)
            private |= {user_id: packed for user_id, packed in found if packed is not None}
        return lists, private

    def _begin_with(self, reference: ClicksReference, older: Mapping[str, UserState], partition: int) -> None:
        if not older:
            return
        reference.states |= older
        newest = max(older.values(), key=lambda state: state.offset)
        reference.watermarks[partition] = newest.watermark_ms

    async def _fold(
        self, reference: ClicksReference, partition: int, begin: int, marks: Mapping[str, Iterable[int]]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Fold as far as anything that was found goes.

        Returns
        -------
        Of each user the offset of the newest acknowledged event, and of the newest that must have made a list.
        """
        topic = self._topic("clicks")
        acknowledged = self.bounds.acknowledged.get(partition, 0)
        furthest = max((place + 1 for places in marks.values() for place in places), default=0)
        async for records in chunks(self.log, topic, partition, begin, acknowledged):
            for record in records:
                reference.put(record)
                is_old = self.now_ms - record.timestamp_ms > EXPIRES_MS
                (self._expired.add if is_old else self._expired.discard)(_key(record))
            self.advance(len(records))
        last = {user_id: place.offset for user_id, place in reference.last.items()}
        listing = {user_id: state.trigger_offset for user_id, state in reference.states.items()}
        async for records in chunks(self.log, topic, partition, max(begin, acknowledged), furthest):
            for record in records:
                reference.put(record)
        return last, {user_id: offset for user_id, offset in listing.items() if offset >= begin}

    def _compare_states(
        self,
        reference: ClicksReference,
        states: Mapping[str, tuple[UserState, bytes]],
        acknowledged: Mapping[str, int],
        older: Mapping[str, UserState],
        has_begun_later: bool,
    ) -> None:
        check = self.report["states"]
        for user_id, offset in acknowledged.items():
            if user_id not in states:
                check.same(False, f"{user_id} has no state; a click at {offset} was acknowledged.")
        for user_id, (state, packed) in states.items():
            newest = acknowledged.get(user_id, -1)
            if state.offset < newest:
                check.same(False, f"{user_id} ends at {state.offset}; a click at {newest} was acknowledged.")
                continue
            expected = reference.state_at(user_id, state.offset)
            is_same = expected is not None and _without_revision(packed) == expected
            if not is_same and has_begun_later and user_id not in older:
                check.leave_out(BEGUN_BEFORE)
                continue
            check.same(is_same, f"{user_id} at {state.offset}: {_difference(state, expected)}.")

    def _compare_private(
        self,
        reference: ClicksReference,
        private: Mapping[str, bytes],
        states: Mapping[str, tuple[UserState, bytes]],
        has_begun_later: bool,
    ) -> None:
        check = self.report["states in Redis"]
        for user_id, (state, packed) in states.items():
            found = private.get(user_id)
            if found is None:
                if user_id in self._expired:
                    check.leave_out(EXPIRED)
                else:
                    check.same(False, f"{user_id} has none.")
                continue
            version, content = parse_version(found[:LENGTH].decode()), found[LENGTH:]
            if version < _version(state):
                check.same(False, f"{user_id} stands at {version}, the changelog at {_version(state)}.")
            elif version == _version(state):
                check.same(content == packed, f"{user_id} at {version} differs from the changelog.")
            elif has_begun_later:
                check.leave_out("it is newer than the offsets fixed at the start")
            else:
                expected = reference.state_at(user_id, version.offset)
                check.same(_without_revision(content) == expected, f"{user_id} at {version} differs from its clicks.")

    def _compare_lists(
        self,
        reference: ClicksReference,
        on_topic: Mapping[str, tuple[Version, bytes | None]],
        in_redis: Mapping[str, tuple[Version, bytes | None]],
        listing: Mapping[str, int],
        partition: int,
    ) -> None:
        check = self.report["lists"]
        for where, found in (("Redis", in_redis), (self._topic("recommendations"), on_topic)):
            for user_id, offset in listing.items():
                if offset < 0:
                    continue
                version, _ = found.get(user_id, (None, None))
                newest = reference.last[user_id].offset if user_id in reference.last else offset
                if version is None and user_id in self._expired:
                    check.leave_out(EXPIRED)
                elif version is None:
                    check.same(False, f"{where} has none of {user_id}; a click at {offset} was acknowledged.")
                elif version.offset < offset:
                    check.same(False, f"{where}: {user_id} stands at {version}; a click at {offset} was acknowledged.")
                else:
                    check.same(
                        version.offset <= newest, f"{where}: {user_id} stands at {version}, its clicks end before."
                    )
        for where, found in (("Redis", in_redis), (self._topic("recommendations"), on_topic)):
            for user_id, (version, value) in found.items():
                packed = reference.state_at(user_id, version.offset)
                if value is not None and packed is not None:
                    self.lists.append(Listed(where, user_id, value, decode_state(packed)))

    def _compare_letters(self, reference: ClicksReference, partition: int) -> None:
        check, acknowledged = self.report["dead letters"], self.bounds.acknowledged.get(partition, 0)
        for place, reason in reference.refused.items():
            if place.offset < acknowledged:
                compare_letter(check, self._topic("clicks"), place, reason, self.letters, self.letters_may_be_gone)

    async def _compare_counts(self, counts: Mapping[str, ItemTrend], partition: int) -> None:
        check, complete_to = self.report["counts"], -1
        published: dict[str, ItemTrend] = {}
        async for record in self._records(self._topic("trends"), partition):
            if record.value is not None and record.key == COUNTED_TO_KEY:
                complete_to = int(record.value)
            elif record.value is not None:
                published[_key(record)] = decode_trend(record.value)
        for item_id, expected in counts.items():
            found = published.get(item_id, ItemTrend())
            if found.offset < expected.offset and expected.offset > complete_to:
                check.leave_out("they are not published yet")
            elif found.offset > expected.offset:
                check.leave_out("they are newer than the offsets fixed at the start")
            else:
                check.same(found == expected, f"{item_id} [{partition}]: {found.count:g}, expected {expected.count:g}.")

    async def _records(self, topic: str, partition: int) -> AsyncIterator[Record]:
        async for records in chunks(self.log, topic, partition, 0, self.bounds.ends[topic][partition]):
            for record in records:
                yield record


def compare_letter(check: Check, topic: str, place: Place, reason: str, letters: set[Place], may_be_gone: bool) -> None:
    """Whether what was refused has its dead letter."""
    if place not in letters and may_be_gone:
        check.leave_out("older dead letters have expired")
    else:
        text = f"{topic} [{place.partition}] at {place.offset} was refused ({reason}) and has none."
        check.same(place in letters, text)


def _key(record: Record) -> str:
    return (record.key or b"").decode()


def _version(state: UserState) -> Version:
    return Version(state.epoch, state.offset, state.revision)


def _list_version(value: bytes) -> Version | None:
    try:
        return parse_version(value[len(LIST_HEAD) : len(LIST_HEAD) + LENGTH].decode())
    except (StateError, UnicodeDecodeError):
        return None


def _without_revision(packed: bytes) -> bytes:
    """As a clean replay leaves it: lists that were made anew raise the revision and change nothing else."""
    state = decode_state(packed)
    state.revision = 0
    return encode_state(state)


def _difference(state: UserState, expected: bytes | None) -> str:
    if expected is None:
        return "there is no such click"
    other = decode_state(expected)
    names = [name for name in state.__struct_fields__ if name != "revision"]
    differing = [name for name in names if getattr(state, name) != getattr(other, name)]
    return f"differs from its clicks in {', '.join(differing) or 'its bytes'}"
