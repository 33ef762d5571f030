"""Batches of unacked events, drained from a Faust stream by hand.

Faust's own `take` acks events that nobody has seen when a body raises, and its iterator costs more than our work on
an event. So we wait for one event and then take what the queue holds: no timer, hence no added latency, and batches
grow by themselves under load.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self


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


class OneBehind:
    """Runs one step while the caller prepares the next: steps never overlap, and begin in the order they were given.

    A failure is raised to whoever gives the next step. As none may come for long, it is also told to `crash` at once.
    """

    def __init__(self, crash: Callable[[BaseException], Awaitable[None]]) -> None:
        self._crash = crash
        self._step: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the step that is running, unless all went well: then wait for it."""
        if error is not None and self._step is not None:
            self._step.cancel()
            await asyncio.gather(self._step, return_exceptions=True)
        else:
            await self.wait()

    async def start(self, step: Coroutine[Any, Any, None]) -> None:
        """Begin a step once the one before is done; raises what that one raised."""
        try:
            await self.wait()
        except BaseException:
            step.close()
            raise
        self._step = asyncio.create_task(self._run(step))

    async def wait(self) -> None:
        """Wait for the step that is running; raises what it raised."""
        if self._step is not None:
            await self._step
            self._step = None

    async def _run(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except Exception as error:
            await self._crash(error)
            raise
