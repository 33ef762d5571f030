"""Batches of unacked events, drained from a Faust stream by hand.

Faust's own `take` acks events that nobody has seen when a body raises, and its iterator costs more than our work on
an event. So we wait for one event and then take what the queue holds: no timer, hence no added latency, and batches
grow by themselves under load.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any


async def drained(app: Any, stream: Any, limit: int = 256) -> AsyncIterator[list[Any]]:
    """Yield lists of 1 to `limit` Faust events, in order within each partition, none of them acked.

    The body must end with `ack(batch)` once everything the batch led to is durable; what is not acked is delivered
    again after a restart. Use it with `concurrency=1` and `CrashingSupervisor` only.
    """
    unacked = stream.noack()
    queue = unacked.channel.queue
    async for first in unacked.events():
        batch = [first]
        while len(batch) < limit and not queue.empty():
            event = queue.get_nowait()
            if _is_current(app, event.message):
                # The stream's iterator would do this; without it a rebalance would not wait for the event.
                event.message.tracked = True
                app.consumer._unacked_messages.add(event.message)
                batch.append(event)
        yield batch


def ack(batch: Iterable[Any]) -> None:
    """Say that all of these events are done with; the next commit passes them."""
    for event in batch:
        event.ack()


def _is_current(app: Any, message: Any) -> bool:
    """Whether the partition is still ours as it was when the message came."""
    return bool(app.flow_control.is_active()) and message.generation_id == app.consumer_generation_id
