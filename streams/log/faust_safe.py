"""What both of our Faust transports add to Faust so that at-least-once holds.

Faust 0.15.3 loses or repeats events in six ways that no setting closes; each class here closes some of them.
They rest on private names of that release: `tests/contracts/test_faust_kafka.py` fails when one changes.

1. A commit may pass an event that is still being worked on (https://github.com/faust-streaming/faust/issues/606).
2. A revoked partition forgets its acks before it commits them, so each rebalance repeats events.
3. A stream acks the events it skips because the partitions are being taken away.
4. A commit may overtake the records that its events wrote: `flush` gives up after 0.1 s and does not see
   the message that the buffer holds in its hand; a record that could not be written is only a log line.
5. What is fetched before a rebalance is done is thrown away; where nothing is committed yet, it never comes again.
6. A rebalance waits for what is in work however long it takes, until the group goes on without this member.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from faust.transport.consumer import Consumer
from faust.transport.producer import Producer
from faust.types import TP

from recsys.errors import UnavailableError

LET_GO_AFTER = 0.5
"""Of the time for a rebalance: work that takes longer is given up. The lease ends at 0.7 of it."""
FLUSH_POLL_S = 0.005
"""How often `flush` looks whether the buffer is empty; longer delays each commit, shorter burns the loop."""


class SafeConsumerMixin(Consumer):  # type: ignore[misc]
    """Commits the first offset that was delivered and not acked, and nothing beyond it.

    Put it before the transport's own consumer class. Gaps in the offsets (compaction, transactions) need no care:
    only what was delivered counts.
    """

    def __init__(
        self,
        transport: Any,
        callback: Callable[[Any], Awaitable[None]],
        on_partitions_revoked: Callable[[set[TP]], Awaitable[None]],
        on_partitions_assigned: Callable[..., Awaitable[None]],
        **options: Any,
    ) -> None:
        self._delivered: dict[TP, deque[int]] = {}
        self._pass_on = callback
        self._drain_and_commit = on_partitions_revoked
        super().__init__(transport, self._deliver, _nothing, on_partitions_assigned, **options)

    async def _deliver(self, message: Any) -> None:
        """Remember the offset before anyone can ack it, then hand the message on."""
        if self.app.topics.acks_enabled_for(message.topic):
            waiting = self._delivered.setdefault(message.tp, deque())
            if waiting and message.offset <= waiting[-1]:  # delivered again after a seek
                waiting.clear()
            waiting.append(message.offset)
        await self._pass_on(message)

    def ack(self, message: Any) -> bool:
        """Take the ack of an event that was worked on; one that a stream only skipped will be delivered again."""
        is_current = self.app.flow_control.is_active() and message.generation_id == self.app.consumer_generation_id
        if not message.tracked and not is_current:
            return False
        return bool(super().ack(message))

    async def on_partitions_revoked(self, revoked: Collection[TP]) -> None:
        """Finish what is being worked on and commit it; only then forget what was acked."""
        if self.app.should_stop:
            # Faust neither waits nor tells anybody: a batch in work would be written when it has another owner.
            await self.app.on_partitions_revoked.send(set(revoked))
            self._unacked_messages.clear()
        else:
            await self._drain_and_commit(set(revoked))
        for tp in revoked:
            self._delivered.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    async def wait_empty(self) -> None:
        """Wait for what is in work; what takes too long is given up, and comes again wherever its partition is then.

        Whoever has it in work hears so by the signal `on_partitions_revoked`, and writes nothing more of it.
        """
        emptied = asyncio.ensure_future(super().wait_empty())
        try:
            await asyncio.wait({emptied}, timeout=LET_GO_AFTER * self.app.conf.broker_rebalance_timeout)
            if not emptied.done():
                await self.app.on_partitions_revoked.send(set(self.assignment()))
                self._unacked_messages.clear()
            await emptied
        finally:
            emptied.cancel()

    async def perform_seek(self) -> None:
        """Seek to what is committed, and to the beginning where nothing is.

        Faust throws away what is fetched before a rebalance is done, and seeks back only to what is committed.
        """
        await super().perform_seek()
        new = [tp for tp in self.assignment() if not self._read_offset[tp]]
        if new:
            for tp, offset in (await self.earliest_offsets(*new)).items():
                await self._seek(tp, offset)

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset to commit, None when the oldest delivered event is not acked yet."""
        waiting = self._delivered.get(tp, deque())
        acked = self._acked_index[tp]
        # Faust takes no ack below what is committed; such an offset comes again when a seek and a commit cross.
        committed = self._committed_offset[tp] or 0
        newest_done = -1
        while waiting and (waiting[0] in acked or waiting[0] < committed):
            newest_done = waiting.popleft()
        oldest_waiting = waiting[0] if waiting else None
        # Faust asks `_acked` which partitions have acks, and `_acked_index` whether an offset is acked.
        # An ack older than all that waits belongs to a delivery before a seek: it will come again.
        left = set() if oldest_waiting is None else {offset for offset in acked if offset > oldest_waiting}
        acked.intersection_update(left)
        self._acked[tp][:] = sorted(left)
        if newest_done < 0:
            return None
        return newest_done + 1 if oldest_waiting is None else oldest_waiting


class SafeProducerMixin(Producer):  # type: ignore[misc]
    """Flushes until nothing is left, and refuses the commit once a record could not be written."""

    def __init__(self, transport: Any, **options: Any) -> None:
        super().__init__(transport, **options)
        self._in_hand = 0
        self._failed: list[BaseException] = []
        self._send_buffered = self.buffer._send_pending
        self.buffer._send_pending = self._send_pending

    @property
    def n_failed(self) -> int:
        """Records that could not be written since the start."""
        return len(self._failed)

    async def _send_pending(self, pending: Any) -> None:
        """Send what the buffer has taken out of its queue, and count it until it is with the client."""
        self._in_hand += 1
        try:
            await self._send_buffered(pending)
        finally:
            self._in_hand -= 1

    async def send(self, *args: Any, **options: Any) -> asyncio.Future[Any]:
        """Hand a record to the client; its failure is counted even if nobody awaits the future."""
        try:
            sent: asyncio.Future[Any] = await super().send(*args, **options)
        except Exception as error:
            self._failed.append(error)
            raise
        sent.add_done_callback(self._note_failure)
        return sent

    def _note_failure(self, sent: asyncio.Future[Any]) -> None:
        error = None if sent.cancelled() else sent.exception()
        if error is not None:
            self._failed.append(error)

    async def flush(self) -> None:
        """Return when every record handed over is acknowledged.

        Raises
        ------
        UnavailableError
            If a record could not be written: committing now would lose it, so the worker must stop.
        """
        while self.buffer.size or self._in_hand:
            if self.buffer.state != "running":
                raise UnavailableError(
                    f"{self.buffer.size} records wait in a buffer that is {self.buffer.state}: nothing more is sent."
                )
            await asyncio.sleep(FLUSH_POLL_S)
        await super().flush()
        if self._failed:
            raise UnavailableError(
                f"{self.n_failed} records could not be written, the first because of {self._failed[0]!r}: "
                f"the events behind them stay uncommitted and come again after a restart."
            ) from self._failed[0]


async def _nothing(revoked: set[TP]) -> None:
    """Stands in for the callback that Faust calls too late."""
