"""Clicks in, fresh lists out: folds batches into the users' states and publishes what they changed.

One batch goes through four steps, in this order, and only then are its events acknowledged; the next batch may be at 1
and 2 while this one waits at 3 and 4, but nothing of it is written before this one is:

1. decode; what cannot be taken becomes a dead letter
2. fold into the states and counts (`recsys.refresh`), each event at most once
3. append, in the order of the log: states to the changelog, lists to `recommendations`, dead letters
4. write the lists to Redis, only where they are newer; then wait for every acknowledgement

A crash anywhere before the end repeats the batch: a state that has an event already leaves it out, while its list is
published again, as it may be the list that was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

from recsys.candidates import Views
from recsys.counts import encode_trend
from recsys.errors import EventError
from recsys.events import Click, RecommendationList
from recsys.history import MAKES_NO_LIST, encode_state
from recsys.refresh import RecommendPolicy, fold_click, make_list, rank_for_users
from recsys.versions import Version
from streams import failpoints, topics
from streams.agents.list_writes import ListStore, ListWrites
from streams.agents.live_scores import LiveScores
from streams.agents.partition import COUNTED_TO_KEY, ClickPartition, PartitionTopics, recover
from streams.agents.refreshes import Counters, Refreshes, Touched
from streams.dead_letters import dead_letter
from streams.log.base import Headers, Log, NewRecord, Record
from streams.retry import all_done, until_available
from streams.settings import Settings
from streams.stores.redis import ListWrite
from streams.wire.click import REPLAYED, parse_click
from streams.wire.cloud_events import cloud_event_headers
from streams.wire.lists import encode_list
from streams.wire.served import encode_served
from streams.wire.times import rfc3339

LIST_EVENT = "freshet.recommendations.v1"
TRENDS_A_SECOND = 1_000
"""Counts published by all workers together: every worker and gateway reads them all, in a tenth of its time."""
TRENDS_AT_ONCE = 100
"""Counts published without a pause: clicks wait for some milliseconds."""
OWED_AT_ONCE = 64
"""Lists owed to users of a replay that are made without a pause: 15 ms."""
FOLDED_AT_ONCE = 100
"""Events folded without a pause: 3 ms."""
AHEAD_S = 0.005
"""How often a list made anew looks whether the batch of its user's newest click is written."""
LISTED_AT_ONCE = 16
"""Lists made without a pause: 4 ms. Fewer cost more each."""


class ClickProcessor:
    """Folds batches of `clicks` into the partitions that this process owns.

    Whatever delivers the records (a Faust agent, or a plain loop) calls `process` with records in the order of their
    partition, acknowledges them when it returns, and calls `let_go` before it gives its partitions up.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        store: ListStore,
        views: Callable[[], Views],
        policy: RecommendPolicy,
        now_ms: Callable[[], int],
    ) -> None:
        prefix = settings.topic_prefix
        self.counters, self.live = Counters(), LiveScores(policy.confidence)
        self.partitions: dict[int, ClickPartition] = {}
        self._generation = 0
        self._recovering = asyncio.Lock()
        self._publishing = asyncio.Lock()
        self._counting = asyncio.Lock()
        self._folded: list[Refreshes] = []
        """What was taken and is not written yet, in order: what is written now, and what waits for it."""
        self._owing: list[Refreshes] = []
        self._settings = settings
        self._log, self._lists, self._views, self._policy, self._now_ms = log, ListWrites(store), views, policy, now_ms
        self._topics = PartitionTopics(prefix + topics.CLICKS, prefix + topics.USER_STATE, prefix + topics.TRENDS)
        self._recommendations, self._served = prefix + topics.RECOMMENDATIONS, prefix + topics.SERVED

    def forget(self) -> None:
        """Drop all partitions: whichever come back are recovered from their topics."""
        self.partitions.clear()
        self.live.forget()
        self._generation += 1
        self._lists.let_go()
        for refreshes in self._owing:
            refreshes.settled.set()
        self._owing.clear()

    async def let_go(self) -> None:
        """Drop all partitions; when this returns, nothing more is written for them."""
        self.forget()
        await self._nothing_is_on_its_way()

    async def process(self, batch: Sequence[Record]) -> bool:
        """Take a batch through all four steps.

        Returns
        -------
        bool
            False if the partitions were taken away meanwhile: nothing may be acknowledged then.
        """
        refreshes = await self.take(batch)
        return refreshes is not None and await self.publish(refreshes) and await self.settle(refreshes)

    async def take(self, batch: Sequence[Record]) -> Refreshes | None:
        """Steps 1 and 2; the batch before may still be on its way. None if the partitions were taken away meanwhile.

        Whatever is taken must be given to `publish`, in the same order.
        """
        refreshes = Refreshes(generation=self._generation)
        for record in batch:
            if record.partition not in self.partitions:
                await self._recover(record.partition, record.offset, refreshes.generation)
                if refreshes.generation != self._generation:
                    return None
        self._folded.append(refreshes)
        failpoints.reached(failpoints.BEFORE_CHANGE)
        for _ in self._steps(batch, refreshes):
            await asyncio.sleep(0)
            if refreshes.generation != self._generation:
                self._folded.remove(refreshes)
                return None
        failpoints.reached(failpoints.AFTER_CHANGE)
        return refreshes

    async def publish(self, refreshes: Refreshes) -> bool:
        """Steps 3 and 4, once what was taken before is written; False as for `process`."""
        try:
            async with self._publishing:
                if not await self._emit_while_ours(refreshes):
                    return False
        finally:
            self._folded.remove(refreshes)
        self.counters.batches += 1
        self.counters.applied += refreshes.n_applied
        self.counters.refused += refreshes.n_refused
        if refreshes.generation != self._generation:
            return False
        if refreshes.owes:
            self._owing.append(refreshes)
        self._note_lists(refreshes)
        return True

    async def settle(self, refreshes: Refreshes) -> bool:
        """Wait until a batch of a replay owes no list any more; False as for `process`."""
        if refreshes.owes:
            await refreshes.settled.wait()
        return refreshes.generation == self._generation

    async def publish_owed(self, *, all_of_them: bool = False) -> None:
        """Write the lists that a replay owes its users: those whose turn it is, or all before a stop."""
        for owned in list(self.partitions.values()):
            due = owned.owed.due(self._now_ms(), all_of_them=all_of_them)
            for start in range(0, len(due), OWED_AT_ONCE):
                if self.partitions.get(owned.partition) is owned:
                    await self.publish_anew(due[start : start + OWED_AT_ONCE], partial(self._owed_lists, owned))

    def _owed_lists(self, owned: ClickPartition, user_ids: Sequence[str]) -> Refreshes:
        refreshes = Refreshes(generation=self._generation)
        states = owned.states
        users = [(user, Touched(owned, states[user], wants_list=True, is_replayed=False)) for user in user_ids]
        self._refresh(users, refreshes)
        return refreshes

    def _note_lists(self, refreshes: Refreshes) -> None:
        """Count the lists that were written, and strike them off what is owed."""
        listed = {write.user_id for write in refreshes.writes if write.list_json is not None}
        self.counters.lists += len(listed)
        for owing in self._owing:
            if owing is not refreshes:
                owing.owes -= listed
            if not owing.owes:
                owing.settled.set()
        self._owing = [owing for owing in self._owing if owing.owes]

    async def publish_anew(self, user_ids: Iterable[str], make: Callable[[list[str]], Refreshes]) -> None:
        """Write lists that no click asks for, between two batches.

        Parameters
        ----------
        make : makes the lists of users whose states are all written; a version of any other would overtake its batch
        """
        generation = self._generation
        waiting = list(user_ids)
        while waiting:
            async with self._publishing:
                if generation != self._generation:
                    return
                ahead = {user_id for refreshes in self._folded for user_id in refreshes.user_ids}
                refreshes = make([user_id for user_id in waiting if user_id not in ahead])
                refreshes.generation = generation
                if not await self._emit_while_ours(refreshes):
                    return
                self._note_lists(refreshes)
            waiting = [user_id for user_id in waiting if user_id in ahead]
            if waiting:  # their batch is written by a task that has not had its turn yet
                await asyncio.sleep(AHEAD_S)

    async def own(self, partitions: Iterable[int], group: str) -> None:
        """Recover partitions before their first click: popular items and hidden ones do not wait for one.

        Parameters
        ----------
        group : the consumer group, whose committed offsets say where each partition goes on
        """
        generation = self._generation
        committed = await until_available(partial(self._log.committed, group, self._topics.clicks))
        for partition in sorted(partitions):
            await self._recover(partition, committed.get(partition, 0), generation)

    async def _recover(self, partition: int, first_offset: int, generation: int) -> None:
        """Bring one partition back, unless somebody else has or it was taken away meanwhile."""
        async with self._recovering:
            await self._nothing_is_on_its_way()
            if partition in self.partitions or generation != self._generation:
                return
            owned = await until_available(
                partial(recover, self._log, self._topics, partition, first_offset, self._policy, parse_record)
            )
            if generation == self._generation:
                self.partitions[partition] = owned

    async def _nothing_is_on_its_way(self) -> None:
        """Wait for what was being written when the partitions were taken away: a recovery must not miss it.

        Nor may it still wait to be written in the term after, where it would end the process.
        """
        for writing in (self._publishing, self._counting):
            async with writing:
                pass

    def fold(self, batch: Sequence[Record]) -> Refreshes:
        """Steps 1 and 2, and the records and writes of 3 and 4; touches nothing outside."""
        refreshes = Refreshes(generation=self._generation)
        for _ in self._steps(batch, refreshes):
            pass
        return refreshes

    def _steps(self, batch: Sequence[Record], refreshes: Refreshes) -> Iterator[None]:
        """Fold in pieces of some milliseconds, so that acknowledgements and heartbeats get in between."""
        touched: dict[str, Touched] = {}
        refreshes.user_ids = touched.keys()
        for count, record in enumerate(batch, start=1):
            if count % FOLDED_AT_ONCE == 0:
                yield
            owned = self.partitions[record.partition]
            try:
                click = parse_record(record)
            except EventError as error:
                letter = dead_letter(record, error.reason, error.text, self._settings)
                refreshes.records.append(letter)
                refreshes.n_refused += 1
                owned.trends.offset = max(owned.trends.offset, record.offset)
                continue
            self._fold_one(click, record, owned, touched)
            refreshes.n_applied += 1
        users = list(touched.items())
        for start in range(0, len(users), LISTED_AT_ONCE):
            if start:
                yield
            self._refresh(users[start : start + LISTED_AT_ONCE], refreshes)

    def _fold_one(self, click: Click, record: Record, owned: ClickPartition, touched: dict[str, Touched]) -> None:
        state = owned.state_of(click.user_id)
        is_redelivery = (owned.epoch, record.offset) <= (state.epoch, state.offset)
        if not (is_redelivery or REPLAYED in record.headers):
            self.live.score(click, state, self._views())
        counted = fold_click(state, owned.trends, click, offset=record.offset, epoch=owned.epoch, policy=self._policy)
        owned.trends.offset = max(owned.trends.offset, record.offset)
        user = touched.get(click.user_id)
        if user is None:
            user = touched[click.user_id] = Touched(owned, state)
        if counted:
            state.revision = 0
        user.changed |= not is_redelivery
        user.wants_list |= counted and click.type not in MAKES_NO_LIST
        # Of what comes again only the event that the list was made for: one that made none, such as a second of one id,
        # would put a newer version on the topic for which nobody is bound to write Redis.
        user.wants_list |= is_redelivery and record.offset == state.trigger_offset
        user.is_replayed &= REPLAYED in record.headers

    def _refresh(self, users: Sequence[tuple[str, Touched]], refreshes: Refreshes) -> None:
        views = self._views()
        now_ms = self._now_ms()
        generated_at = rfc3339(now_ms)
        for user_id, user in users:
            if user.wants_list and user.is_replayed and user.owned.owed.owe(user_id, now_ms):
                user.wants_list = False
                refreshes.owes.add(user_id)
        listed = {user_id: user.state for user_id, user in users if user.wants_list}
        ranked = iter(rank_for_users(listed, views, self._policy, n=self._policy.top_k))
        for user_id, user in users:
            state, partition = user.state, user.owned.partition
            key = user_id.encode()
            packed = encode_state(state)
            version = str(Version(state.epoch, state.offset, state.revision))
            if user.changed:
                refreshes.records.append(NewRecord(self._topics.user_state, key, packed, partition))
            list_json = None
            if user.wants_list:
                made = make_list(user_id, state, next(ranked), views, partition=partition, generated_at=generated_at)
                self.live.stands(made)
                user.owned.listed(user_id, is_full=len(made.items) >= self._policy.top_k)
                if user.is_replayed or user_id in user.owned.owed:
                    user.owned.owed.made(user_id, now_ms)
                list_json = encode_list(made)
                headers = list_headers(made, now_ms)
                refreshes.records.append(NewRecord(self._recommendations, key, list_json, partition, headers))
                if made.variant and not user.is_replayed:
                    refreshes.records.append(NewRecord(self._served, key, encode_served(made), partition))
            refreshes.writes.append(ListWrite(user_id, version, list_json, packed))

    async def _emit_while_ours(self, refreshes: Refreshes) -> bool:
        """Try until it is written; False as for `process`, for whoever owns the partitions by then has gone on."""

        async def attempt() -> bool:
            if refreshes.generation != self._generation:
                return False
            await self.emit(refreshes)
            return True

        return await until_available(attempt, self._lists.gone())

    async def emit(self, refreshes: Refreshes) -> None:
        """Steps 3 and 4: return when the log and Redis have everything."""
        steps: list[Awaitable[object]] = []
        if refreshes.records and not refreshes.is_appended:
            steps.append(self._append(refreshes))
        if refreshes.writes:
            steps.append(self._lists.put(refreshes.writes))
        await all_done(*steps)

    async def _append(self, refreshes: Refreshes) -> None:
        """Once only, however often Redis is tried: while it is away for hours, the log would grow with each try."""
        if refreshes.generation != self._generation:  # taken away since this task was made
            return
        failpoints.reached(failpoints.BEFORE_FLUSH)
        await self._log.append_many(refreshes.records)
        refreshes.is_appended = True
        failpoints.reached(failpoints.AFTER_FLUSH)
        if refreshes.n_refused:
            failpoints.reached(failpoints.DEAD_LETTER)

    async def publish_trends(self) -> None:
        """Publish counts that changed, each partition's followed by the offset that they are complete up to.

        Of very many those that have waited longest: publishing then takes the same share of the time however many
        events come, and what changes again meanwhile is published once.
        """
        share = TRENDS_A_SECOND // self._settings.partitions
        for owned in list(self.partitions.values()):
            changes = [
                NewRecord(self._topics.trends, item_id.encode(), encode_trend(trend), owned.partition)
                for item_id, trend in owned.trends.take_changes(max(1, share))
            ]
            if not changes:
                continue
            offset = str(owned.trends.complete_to).encode()
            records = [*changes, NewRecord(self._topics.trends, COUNTED_TO_KEY, offset, owned.partition)]
            for start in range(0, len(records), TRENDS_AT_ONCE):
                await until_available(partial(self._append_counts, owned, records[start : start + TRENDS_AT_ONCE]))

    async def _append_counts(self, owned: ClickPartition, records: Sequence[NewRecord]) -> None:
        """Unless the partition was taken away meanwhile: its next owner counts on."""
        async with self._counting:
            if self.partitions.get(owned.partition) is owned:
                await self._log.append_many(records)


def list_headers(made: RecommendationList, now_ms: int) -> Headers:
    """What makes a list on the topic a CloudEvent."""
    return cloud_event_headers(event_id=made.rec_id, event_type=LIST_EVENT, time_ms=now_ms, subject=made.user_id)


def parse_record(record: Record) -> Click:
    """Read a record of `clicks`; raises EventError."""
    if record.value is None:
        raise EventError("missing-value", "A click has no value; only compacted topics take null.")
    return parse_click(record.value, key=record.key, headers=record.headers, record_ts_ms=record.timestamp_ms)
